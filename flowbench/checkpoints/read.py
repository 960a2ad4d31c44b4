"""Reading of checkpoint files, without running code from them, and with checks for damage."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from flowbench.checkpoints.integrity import check_file, is_safetensors
from flowbench.errors import FlowBenchError

SETTINGS = "hyper_parameters"
VERSION = "flowbench_format"
# 1, which is not written down: targets named as before flowbench.targets.MOVED. 2: as they are named today.
NEWEST_VERSION = 2


def read_checkpoint(path: str | Path, *, map_location: Any = "cpu") -> dict[str, Any]:
    """The contents of a checkpoint file, PyTorch's or .safetensors, whose header is checked against its length.

    Raises FlowBenchError for a file that is missing, damaged, no checkpoint, or holds more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise FlowBenchError(f"There is no checkpoint file '{path}': check the path.")
    check_file(path)
    if is_safetensors(path):
        return _from_safetensors(path)
    try:
        contents = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise FlowBenchError(
            f"The checkpoint '{path}' holds more than tensors and plain values, or is damaged, and was not loaded: "
            "loading such a file could run any code. Ask its author for the state dict alone."
        ) from error
    except Exception as error:  # A damaged file makes the reader fail in any way: IndexError, struct.error, ...
        raise FlowBenchError(f"'{path}' is not a readable checkpoint: it is cut short or of another format.") from error
    if not isinstance(contents, Mapping):
        raise FlowBenchError(
            f"'{path}' holds {type(contents).__name__}, but a checkpoint holds a mapping of names to tensors."
        )
    _refuse_unstored(contents, path)
    _refuse_newer(contents, path)
    return dict(contents)


def _refuse_newer(contents: Mapping[Any, Any], path: Path) -> None:
    version = contents.get(VERSION, 1)
    if version not in range(1, NEWEST_VERSION + 1):
        raise FlowBenchError(
            f"'{path}' has format {version!a}, and this FlowBench reads formats 1 to {NEWEST_VERSION}: install the version "
            "that wrote it, or a newer one."
        )


def _refuse_unstored(contents: Mapping[Any, Any], path: Path) -> None:
    """Raises FlowBenchError for a tensor that claims more elements than the file stores: copying it could take any memory."""
    for part in (contents, *(part for part in contents.values() if isinstance(part, Mapping))):
        for name, tensor in part.items():
            if isinstance(tensor, Tensor) and not _is_stored(tensor):
                raise FlowBenchError(
                    f"'{path}' does not hold all of its tensor {name!a}, of shape {tuple(tensor.shape)}: save it again "
                    "from a contiguous, dense copy."
                )


def _is_stored(tensor: Tensor) -> bool:
    dense = tensor.layout == torch.strided and not tensor.is_meta
    return dense and tensor.nbytes <= tensor.untyped_storage().nbytes()


def _from_safetensors(path: Path) -> dict[str, Any]:
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise FlowBenchError(f"'{path}' is damaged or cut short ({error}): fetch or copy it again.") from error


def is_ours(checkpoint: Mapping[str, Any]) -> bool:
    settings = checkpoint.get(SETTINGS)
    state = checkpoint.get("state_dict")
    is_state = isinstance(state, Mapping) and all(isinstance(value, Tensor) for value in state.values())
    return isinstance(settings, Mapping) and "model" in settings and is_state


def check_weights(
    network: nn.Module, state: Mapping[str, Tensor], *, source: str | Path, held: str | None = None
) -> None:
    """Raises FlowBenchError that lists every missing, unknown or misshapen entry of a state dict.

    Args:
        network: that the weights are for.
        state: a state dict.
        source: its file, for the error.
        held: the model whose weights these are by their names, for the error.
    """
    expected = network.state_dict()
    problems = []
    missing = sorted(set(expected) - set(state))
    unknown = sorted(set(state) - set(expected))
    shared = set(expected) & set(state)
    misshapen = sorted(name for name in shared if expected[name].shape != state[name].shape)
    for title, names in (("missing", missing), ("unknown", unknown), ("of another shape", misshapen)):
        if names:
            problems.append(f"{len(names)} {title} ({', '.join(names[:6])}{', ...' if len(names) > 6 else ''})")
    if problems:
        raise FlowBenchError(
            f"The checkpoint '{source}' is not of this network: of {len(expected)} entries, {'; '.join(problems)}. "
            f"{f'Its weights are those of model={held}.' if held else 'Choose the model that it was trained as.'}"
        )


def load_weights(
    network: nn.Module, state: Mapping[str, Tensor], *, source: str | Path, held: str | None = None
) -> None:
    """Copies a state dict into a network.

    Args:
        network, state, source, held: see `check_weights`.

    Raises FlowBenchError where `check_weights` does.
    """
    check_weights(network, state, source=source, held=held)
    network.load_state_dict(dict(state))
