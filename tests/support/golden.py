"""The reference figures, and official checkpoints whose weights follow from their names."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parent.parent / "golden"
SHARED = Path(__file__).parents[3] / "shared"
ASSETS = Path(__file__).parents[2] / "assets"


def case(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / name / "case.json").read_text())


def array(path: str, folder: Path = GOLDEN) -> Tensor:
    return torch.from_numpy(np.load(folder / path))


def image(name: str, dtype: torch.dtype, folder: Path = GOLDEN) -> Tensor:
    """(1, 3, H, W) in [0, 1]; converted before the division, so that float64 is exact."""
    pixels = cv2.cvtColor(cv2.imread(str(folder / "inputs" / f"{name}.png")), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].to(dtype) / 255


def official_state(model: str) -> dict[str, Tensor]:
    """The state dict of an official checkpoint: each tensor drawn from a generator seeded by its own name.

    The names are as the official files have them, with or without `module.`; the figures are checked against their hash.
    """
    described = json.loads((GOLDEN / "models" / f"{model}.json").read_text())
    scales = described["fill_scales"]
    state = {
        name: torch.zeros(shape, dtype=torch.int64)
        if dtype == "int64"
        else torch.from_numpy(_filled(name, shape, scales))
        for name, shape, dtype, _ in described["state_dict"]
    }
    full_names = {_bare(name): name for name in state}
    for names in described["aliases"]:
        value = state[full_names[max(names)]]
        state |= {full_names[name]: value for name in names}
    assert _fingerprint(state) == described["fill_sha256"], model
    return state


def filled(name: str, shape: list[int]) -> Tensor:
    """The weight that the filling rule gives to this name."""
    return torch.from_numpy(_filled(name, shape, {}))


def drawn(name: str, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal figures that follow from a name."""
    return torch.from_numpy(_generator(name).standard_normal(shape)).to(dtype)


def field(number: int, height: int, width: int) -> np.ndarray:
    """(2, H, W): the flow P_k of the reference cases."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    u = (3 + number) * np.sin(2 * np.pi * x / width + 0.5 * number) + 0.1 * y
    v = (2 - number) * np.cos(2 * np.pi * y / height) - 0.05 * x
    return np.stack([u, v]).astype(np.float32)


def _generator(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def _bare(name: str) -> str:
    return name.removeprefix("module.")


def _fingerprint(state: dict[str, Tensor]) -> str:
    digests = {_bare(name): hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for name, tensor in state.items()}
    return hashlib.sha256("".join(digests[name] for name in sorted(digests)).encode()).hexdigest()


def _scale(name: str, scales: dict[str, float]) -> float:
    """The product of the factors given for this tensor or for a module that it lies in."""
    return math.prod(factor for part, factor in scales.items() if name == part or name.startswith(f"{part}."))


def _filled(name: str, shape: list[int], scales: dict[str, float]) -> np.ndarray:
    name = _bare(name)
    generator = _generator(name)
    if name.endswith("running_var"):
        values = 0.5 + generator.random(shape)
    elif name.endswith("running_mean"):
        values = 0.1 * generator.standard_normal(shape)
    elif name.endswith(".bias"):
        values = 0.05 * generator.standard_normal(shape)
    elif name.endswith("weight_g"):
        values = 0.5 + 0.5 * generator.random(shape)
    elif len(shape) == 1:
        values = 1 + 0.1 * generator.standard_normal(shape)
    else:
        values = generator.standard_normal(shape) * np.sqrt(1.0 / np.prod(shape[1:]))
    return (values * _scale(name, scales)).astype(np.float32)
