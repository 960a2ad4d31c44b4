"""State dicts of other code bases, recognised by their keys and renamed to ours."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from flowbench.checkpoints.torchvision_raft import from_torchvision_raft, is_torchvision_raft
from flowbench.errors import FlowBenchError

StateDict = dict[str, Tensor]

_WRAPPERS = ("module.", "_orig_mod.", "model.")


def from_princeton_raft(state: StateDict) -> StateDict:
    """princeton-vl's RAFT (raft-things.pth, raft-small.pth, ...), with or without wrappers' prefixes, and torchvision's.

    Their encoders hold the skip's norm under two names, normN and downsample.1, for one module: ours hold it once. Their mask
    head is part of the update block.
    """
    state = _without_twins(unwrapped(state))
    state = from_torchvision_raft(state) if is_torchvision_raft(state) else state
    return {name.replace("update_block.mask.", "mask."): tensor for name, tensor in state.items()}


_DEQFLOW_NAMES = {
    "update_block.mask.": "mask.",  # v1 of the code
    "attn.": "attention.",
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}


def from_deqflow(state: StateDict) -> StateDict:
    """locuslab's DEQ-Flow, v1 and v2, with or without DataParallel's `module.`, weight normalisation and GMA."""
    renamed: StateDict = {}
    for name, tensor in _without_twins(unwrapped(state)).items():
        for theirs, ours in _DEQFLOW_NAMES.items():
            name = name.replace(theirs, ours)
        renamed[name] = tensor
    return renamed


@dataclass(frozen=True)
class DEQFlowVariant:
    """The settings that follow from the keys and shapes of a DEQ-Flow checkpoint.

    Args:
        hidden: channels of the hidden state.
        head: width of the flow head, which differs between v1 and v2 of the code.
        weight_norm: whether it has weight normalisation.
        gma: whether it has global motion aggregation."""

    hidden: int
    head: int
    weight_norm: bool
    gma: bool


def deqflow_variant(state: StateDict) -> DEQFlowVariant | None:
    """The variant of a DEQ-Flow's state dict; None for any other state dict."""
    state = unwrapped(state)
    names = ("update_block.gru.convz1.bias", "update_block.flow_head.conv1.bias", "cnet.conv2.bias")
    gate, head, context = (state.get(name) for name in names)
    # RAFT's context encoder gives the first hidden state, too.
    if gate is None or head is None or context is None or context.shape != gate.shape:
        return None
    return DEQFlowVariant(
        hidden=gate.shape[0],
        head=head.shape[0],
        weight_norm="update_block.gru.convz1.weight_v" in state,
        gma="attn.to_qk.weight" in state,
    )


def from_fastflownet(state: StateDict) -> StateDict:
    """ltkong218's FastFlowNet (fastflownet_ft_mix.pth, ...), with or without DataParallel's `module.`.

    Their input is BGR, ours RGB: the channels of the first convolution's weights are reversed.
    """
    state = unwrapped(state)
    if (first := state.get("pconv1_1.0.weight")) is not None:
        state["pconv1_1.0.weight"] = first.flip(1)
    return {fastflownet_name(name): tensor for name, tensor in state.items()}


def is_fastflownet(state: StateDict) -> bool:
    return "pconv1_1.0.weight" in unwrapped(state)


def fastflownet_name(name: str) -> str:
    """`pconv2_3.` is our `pyramid.1.2.`; a decoder's conv1 to conv7 are our expand, mix and contract."""
    name = re.sub(r"^pconv(\d)_(\d)\.", lambda m: f"pyramid.{int(m[1]) - 1}.{int(m[2]) - 1}.", name)
    name = re.sub(r"^rconv(\d)\.", r"reduce.\1.", name)
    name = re.sub(r"^up(\d)\.", r"up.\1.", name)
    name = re.sub(r"^decoder(\d)\.conv1\.", r"decoders.\1.expand.", name)
    name = re.sub(r"^decoder(\d)\.conv([2-4])\.", lambda m: f"decoders.{m[1]}.mix.{int(m[2]) - 2}.", name)
    return re.sub(r"^decoder(\d)\.conv([5-7])\.", lambda m: f"decoders.{m[1]}.contract.{int(m[2]) - 5}.", name)


def from_lightflow(state: StateDict) -> StateDict:
    """McDo's LightFlowPytorch, with or without DataParallel's `module.`."""
    return {_lightflow_name(name): tensor for name, tensor in unwrapped(state).items()}


def _lightflow_name(name: str) -> str:
    """Its conv1 to conv6b are our encoder, conv7 to conv11 the decoder, conv12 to conv16 the predictors."""
    name = re.sub(r"^conv([1-3])\.", lambda m: f"encoder.{int(m[1]) - 1}.0.", name)
    name = re.sub(r"^conv([4-6])([ab])\.", lambda m: f"encoder.{int(m[1]) - 1}.{'ab'.index(m[2])}.", name)
    name = re.sub(r"^conv(7|8|9|10|11)\.", lambda m: f"decoder.{int(m[1]) - 7}.", name)
    return re.sub(r"^conv(1[2-6])\.", lambda m: f"predictors.{int(m[1]) - 12}.", name)


def lightflow_width(state: StateDict) -> float | None:
    """The factor of the channels; None where the keys are not those of a LightFlow."""
    pointwise = unwrapped(state).get("conv6b.3.weight")
    return None if pointwise is None else pointwise.shape[0] / 1024


def unwrapped(state: StateDict) -> StateDict:
    """The state dict without the prefixes of DataParallel, torch.compile and training programs."""
    while prefix := next(
        (start for start in _WRAPPERS if state and all(name.startswith(start) for name in state)), None
    ):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return dict(state)


def _without_twins(state: StateDict) -> StateDict:
    """The encoders' skip norms once."""
    kept: StateDict = {}
    for name, tensor in state.items():
        twin = _skip_norm_twin(name, state)
        if twin is None:
            kept[name] = tensor
        elif not torch.equal(tensor, state[twin]):
            raise FlowBenchError(
                f"'{name}' and '{twin}' are one norm in RAFT, but their values differ: a damaged checkpoint."
            )
    return kept


def _skip_norm_twin(name: str, state: StateDict) -> str | None:
    """The downsample.1 entry that repeats this norm, where there is one."""
    block, _, rest = name.rpartition(".norm")
    if not block:
        return None
    _, _, parameter = rest.partition(".")
    last_norm = max(int(key.removeprefix(f"{block}.norm")[0]) for key in state if key.startswith(f"{block}.norm"))
    twin = f"{block}.downsample.1.{parameter}"
    return twin if twin in state and rest.startswith(f"{last_norm}.") else None
