"""Variational dropout (Gal and Ghahramani, arXiv 1512.05287): one mask for all solver steps, so that f stays one map."""

from __future__ import annotations

from torch import Tensor


def dropout_mask(shape: tuple[int, ...], share: float, *, like: Tensor) -> Tensor:
    """Factors that are 0 with probability `share`, else 1 / (1 - share).

    Args:
        shape: of the mask.
        share: from 0 to below 1.
        like: gives dtype and device.
    """
    if not 0 <= share < 1:
        raise ValueError(f"dropout={share}: give a share of at least 0 and below 1.")
    return like.new_empty(shape).bernoulli_(1 - share).div_(1 - share)
