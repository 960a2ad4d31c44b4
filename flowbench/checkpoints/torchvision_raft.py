"""torchvision's raft_large and raft_small: the networks of princeton-vl's RAFT under other names."""

from __future__ import annotations

import re

from torch import Tensor

_PARTS = (
    (r"^feature_encoder\.", "fnet."),
    (r"^context_encoder\.", "cnet."),
    (r"^([fc]net)\.conv\.", r"\1.conv2."),
    (r"\.convnormrelu\.0\.", ".conv1."),
    (r"\.convnormrelu\.1\.", ".norm1."),
    (r"\.convnormrelu(\d)\.0\.", r".conv\1."),
    (r"\.convnormrelu(\d)\.1\.", r".norm\1."),
    (r"\.motion_encoder\.convcorr(\d)\.0\.", r".encoder.convc\1."),
    (r"\.motion_encoder\.convflow(\d)\.0\.", r".encoder.convf\1."),
    (r"\.motion_encoder\.conv\.0\.", ".encoder.conv."),
    (r"^mask_predictor\.convrelu\.0\.", "mask.0."),
    (r"^mask_predictor\.conv\.", "mask.2."),
)
# raft_small's one unit has square kernels; raft_large's two, 1x5 and 5x1, are one of princeton-vl's.
_UNIT = re.compile(r"\.recurrent_block\.convgru(\d)\.conv([zrq])\.")


def is_torchvision_raft(state: dict[str, Tensor]) -> bool:
    return "feature_encoder.convnormrelu.0.weight" in state


def from_torchvision_raft(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names of our RAFT, which holds the norm of a skip once, as torchvision does."""
    separable = any(".convgru2." in name for name in state)
    unit = r".gru.conv\2\1." if separable else r".gru.conv\2."
    return {_UNIT.sub(unit, _renamed(name)): tensor for name, tensor in state.items()}


def _renamed(name: str) -> str:
    for theirs, ours in _PARTS:
        name = re.sub(theirs, ours, name)
    return name
