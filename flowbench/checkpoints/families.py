"""The family of a state dict of another code base."""

from __future__ import annotations

from flowbench.checkpoints.official import (
    StateDict,
    deqflow_variant,
    from_princeton_raft,
    is_fastflownet,
    lightflow_width,
    unwrapped,
)
from flowbench.networks.deqflow import size_of

# Channels of the hidden state and of the context encoder.
_RAFT = {(128, 256): "raft", (256, 512): "raft_h"}
_LIGHTFLOW = {1.0: "lightflow", 0.75: "lightflow_075", 0.5: "lightflow_05"}


def model_of(state: StateDict) -> str | None:
    """The name in conf/model of the model that such weights were published for; None where the keys are unknown."""
    state = unwrapped(state)
    if not all(tensor.ndim for name, tensor in state.items() if name.endswith((".weight", ".bias"))):
        return None
    if is_fastflownet(state):
        return "fastflownet"
    if (width := lightflow_width(state)) is not None:
        return _LIGHTFLOW.get(width)
    if (variant := deqflow_variant(state)) is not None:
        size = size_of(variant.hidden)
        return f"deqflow_{size}" if size else None
    return _raft(from_princeton_raft(state))


def _raft(state: StateDict) -> str | None:
    if "update_block.gru.convz.bias" in state:
        return "raft_small"
    gate, context = state.get("update_block.gru.convz1.bias"), state.get("cnet.conv2.bias")
    return None if gate is None or context is None else _RAFT.get((gate.shape[0], context.shape[0]))
