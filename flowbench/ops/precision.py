"""Full precision under autocasting, for matching costs and flow: their error would be that of the estimate."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """No autocasting; the meta device, on which shapes alone are computed, knows none, nor does an exported network."""
    without_autocast = device.type == "meta" or torch.compiler.is_exporting()
    return nullcontext() if without_autocast else torch.autocast(device.type, enabled=False)


def at_least_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
