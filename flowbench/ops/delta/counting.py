"""Counts of a convolution's multiplications, and of those whose input is not zero."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Work:
    """The work of a convolution at one step. Multiplications with the zeros around a map are no work.

    Attributes:
        inputs: input elements per sample.
        dense: the multiply-accumulates of all elements.
        zeros: (B,), how many elements are zero as they are propagated.
        macs: (B,), the multiply-accumulates that the others take.
        raw_zeros, raw_macs: as zeros and macs, of the input itself rather than of its change, which tells what a ReLU before
            it saves anyway.
    """

    inputs: int
    dense: int
    zeros: Tensor
    macs: Tensor
    raw_zeros: Tensor
    raw_macs: Tensor

    @classmethod
    def of(cls, x: Tensor, changes: Tensor, kernel: tuple[int, int], outputs: int, groups: int = 1) -> Work:
        """The work of a kernel that keeps the map's size.

        Args:
            x: (B, Cin, H, W), the input.
            changes: (B, Cin, H, W), the propagated changes of x.
            kernel: height and width.
            outputs: output channels.
            groups: of the convolution.
        """
        uses = uses_of_pixels(*x.shape[-2:], kernel, device=x.device) * (outputs // groups)
        zeros, macs = _zeros_and_macs(changes, uses)
        raw_zeros, raw_macs = _zeros_and_macs(x, uses)
        return cls(x[0].numel(), x.shape[1] * int(uses.sum()), zeros, macs, raw_zeros, raw_macs)

    def __add__(self, other: Work) -> Work:
        return Work(*(mine + others for mine, others in zip(vars(self).values(), vars(other).values(), strict=True)))


@lru_cache(maxsize=64)
def uses_of_pixels(height: int, width: int, kernel: tuple[int, int], *, device: torch.device | None = None) -> Tensor:
    """(H, W) int64: the number of outputs inside the map that use each of its pixels.

    Args:
        height: of the map.
        width: of the map.
        kernel: (height, width), both odd.
        device: of the result.
    """
    outputs = torch.ones(1, 1, height, width, dtype=torch.float64, device=device)
    elements = torch.ones(1, 1, *kernel, dtype=torch.float64, device=device)
    return F.conv2d(outputs, elements, padding=(kernel[0] // 2, kernel[1] // 2))[0, 0].round().long()


def propagated_macs(active: Tensor, kernel: tuple[int, int], outputs: int) -> Tensor:
    """(B,): the multiply-accumulates of the active elements, in single precision.

    Args:
        active: (B, C, H, W) bool.
        kernel: (height, width).
        outputs: output channels.
    """
    elements = active[:, 0] if active.shape[1] == 1 else active.sum(dim=1)
    uses = _uses_of_pixels_in_single_precision(*active.shape[-2:], kernel, device=active.device)
    return (elements.flatten(1).to(uses.dtype) @ uses) * outputs


@lru_cache(maxsize=64)
def dense_macs(shape: tuple[int, int, int], kernel: tuple[int, int], outputs: int) -> int:
    """The multiply-accumulates of a dense convolution.

    Args:
        shape: (C, H, W) of the input.
        kernel: (height, width).
        outputs: output channels.
    """
    return shape[0] * outputs * int(uses_of_pixels(*shape[1:], kernel).sum())


@lru_cache(maxsize=64)
def _uses_of_pixels_in_single_precision(
    height: int, width: int, kernel: tuple[int, int], *, device: torch.device
) -> Tensor:
    return uses_of_pixels(height, width, kernel, device=device).flatten().float()


def _zeros_and_macs(x: Tensor, macs_of_a_pixel: Tensor) -> tuple[Tensor, Tensor]:
    nonzero = (x != 0).sum(dim=1)
    return x[0].numel() - nonzero.sum(dim=(1, 2)), (nonzero * macs_of_a_pixel).sum(dim=(1, 2))
