"""Estimates of large images tile by tile, in memory that one tile bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flowbench.errors import FlowBenchError
from flowbench.structures import FlowOutput

# A network sees too little of the motion in smaller ones.
_LEAST = 128


@dataclass(frozen=True)
class Tiles:
    """Overlapping squares that cover an image, whose flows are blended where they overlap.

    What moves out of its tile has no match in it: motion must stay well below the overlap, or a cascade takes its large
    part away first.

    Args:
        side: of a tile, pixels.
        overlap: of neighbours, pixels.
    """

    side: int
    overlap: int

    def estimate(self, estimate: Callable[[Tensor, Tensor], FlowOutput], image1: Tensor, image2: Tensor) -> FlowOutput:
        """One tile at a time; an image no larger than one is estimated at once.

        Args:
            estimate: Returns the flow between two batches of tiles, (B, 2, h, w).
            image1: (B, C, H, W).
            image2: (B, C, H, W).

        Returns:
            The flow (B, 2, H, W), without predictions, and for more than one tile without statistics and reuse.
        """
        height, width = image1.shape[-2:]
        rows, columns = (self._starts(length) for length in (height, width))
        if len(rows) == len(columns) == 1:
            return estimate(image1, image2)
        flow = image1.new_zeros(len(image1), 2, height, width, dtype=torch.float32)
        total = flow.new_zeros(height, width)
        for top in rows:
            for left in columns:
                place = (..., slice(top, top + self.side), slice(left, left + self.side))
                tile = estimate(image1[place], image2[place]).flow
                weight = self._weight(top, height, like=total)[:, None] * self._weight(left, width, like=total)
                flow[place] += weight * tile
                total[place] += weight
        return FlowOutput(flow / total)

    def _starts(self, length: int) -> list[int]:
        """Where tiles begin along one side of the image; the last ends with it."""
        step = self.side - self.overlap
        return [*range(0, max(length - self.side, 0), step), max(length - self.side, 0)]

    def _weight(self, start: int, length: int, like: Tensor) -> Tensor:
        """Of each row or column of a tile: 0 near a border with a neighbour, where the network sees half of the scene only,
        then rising to 1 over half of the overlap. Those of two neighbours add up to 1."""
        side = min(self.side, length)
        position = torch.arange(side, device=like.device, dtype=like.dtype) + 0.5
        ramp = [(distance - self.overlap / 4) / (self.overlap / 2) for distance in (position, side - position)]
        inner = [start > 0, start + side < length]
        weights = [part.clamp(0, 1) for part, has_neighbour in zip(ramp, inner, strict=True) if has_neighbour]
        return torch.stack([torch.ones_like(position), *weights]).prod(dim=0)


def chosen_tiles(tile: int | None, overlap: int | None, multiple: int = 1, *, warm_start: bool = False) -> Tiles | None:
    """Tiles from settings; None for none.

    Args:
        tile: Side of a tile, pixels.
        overlap: Of neighbours, pixels; None for a quarter of a tile.
        multiple: Of which both have to be multiples, so that a network's cells lie in the tiles as in the whole image.
        warm_start: Whether pairs start from the one before.

    Raises FlowBenchError for sizes that do not fit.
    """
    if tile is None:
        if overlap is not None:
            raise FlowBenchError(f"overlap={overlap} is of tiles, and there are none: add tile=512, or leave it out.")
        return None
    if warm_start:
        raise FlowBenchError(f"tile={tile} starts each pair anew, but warm_start=true: leave one of them out.")
    if type(tile) is not int or tile < _LEAST or tile % multiple:
        fitting = max(-(-_LEAST // multiple), round(tile / multiple)) * multiple
        raise FlowBenchError(
            f"tile={tile}: this network takes tiles of at least {_LEAST} pixels a side, in multiples of {multiple}, such as "
            f"tile={fitting}."
        )
    if overlap is None:
        overlap = -(-tile // (4 * multiple)) * multiple
    if type(overlap) is not int or not 0 < overlap <= tile // 2 or overlap % multiple:
        raise FlowBenchError(
            f"overlap={overlap}: between 1 and {tile // 2} pixels, half of a tile, in multiples of {multiple} are needed."
        )
    return Tiles(tile, overlap)
