"""The reference figures, and official checkpoints whose weights follow from their names."""

from __future__ import annotations

import json
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
    """The state dict of an official checkpoint: each tensor drawn from a generator seeded by its own name."""
    described = json.loads((GOLDEN / "models" / f"{model}.json").read_text())
    state = {
        name: torch.zeros(shape, dtype=torch.int64) if dtype == "int64" else torch.from_numpy(_filled(name, shape))
        for name, shape, dtype, _ in described["state_dict"]
    }
    for names in described["aliases"]:
        value = state[f"module.{sorted(names)[-1]}"]
        state |= {f"module.{name}": value for name in names}
    return state


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


def _filled(name: str, shape: list[int]) -> np.ndarray:
    name = name.removeprefix("module.")
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
    return values.astype(np.float32)
