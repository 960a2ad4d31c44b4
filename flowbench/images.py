"""Value ranges of images: the one rule by which numbers of any type become [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

from flowbench.errors import FlowBenchError

_WHITE = {torch.uint8: 255, torch.uint16: 65535}
# Resampling with a cubic kernel overshoots a little.
_OVERSHOOT = 1e-3


def unit_range(image: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The image, of any shape, with black at 0 and white at 1.

    Args:
        image: uint8, whose white is 255; uint16, whose white is 65535; or floating point that is in [0, 1] already, up to
            an overshoot of 0.001. The values of floating point are looked at, which waits for a GPU.
        dtype: the floating-point type of the result.

    Raises FlowBenchError for values outside the range, values that are not finite, and every other type.
    """
    if image.dtype in _WHITE:
        # Not in half precision, which ends at 65504.
        return image.to(torch.promote_types(dtype, torch.float32)).div_(_WHITE[image.dtype]).to(dtype)
    if not image.is_floating_point():
        raise FlowBenchError(
            f"An image of {_name(image.dtype)} values does not say which one is white: give uint8 (0 to 255), uint16 (0 to "
            "65535), or floating point from 0 to 1."
        )
    lowest, highest = (bound.item() for bound in image.aminmax())
    if not (lowest >= -_OVERSHOOT and highest <= 1 + _OVERSHOOT):
        raise FlowBenchError(
            f"A {_name(image.dtype)} image has values from {lowest:.6g} to {highest:.6g}: floating point must go from 0 "
            "(black) to 1 (white). Divide by the value of white, or give uint8 (0 to 255) or uint16 (0 to 65535)."
        )
    return image.to(dtype)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
