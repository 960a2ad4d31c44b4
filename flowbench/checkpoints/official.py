"""State dicts of other code bases, recognised by their keys and renamed to ours."""

from __future__ import annotations

import torch
from torch import Tensor

from flowbench.errors import FlowBenchError

StateDict = dict[str, Tensor]


def from_princeton_raft(state: StateDict) -> StateDict:
    """princeton-vl's RAFT (raft-things.pth, raft-small.pth, ...), with or without DataParallel's `module.`.

    Their encoders hold the skip's norm under two names, normN and downsample.1, one tensor in the original: ours hold it
    once. Their mask head lives inside the update block.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    renamed: StateDict = {}
    for name, tensor in state.items():
        twin = _skip_norm_twin(name, state)
        if twin is None:
            renamed[name.replace("update_block.mask.", "mask.")] = tensor
        elif not torch.equal(tensor, state[twin]):
            raise FlowBenchError(
                f"'{name}' and '{twin}' are one norm in RAFT, but their values differ: a damaged checkpoint."
            )
    return renamed


def _skip_norm_twin(name: str, state: StateDict) -> str | None:
    """The downsample.1 entry that repeats this norm, where there is one."""
    block, _, rest = name.rpartition(".norm")
    if not block:
        return None
    _, _, parameter = rest.partition(".")
    last_norm = max(int(key.removeprefix(f"{block}.norm")[0]) for key in state if key.startswith(f"{block}.norm"))
    twin = f"{block}.downsample.1.{parameter}"
    return twin if twin in state and rest.startswith(f"{last_norm}.") else None
