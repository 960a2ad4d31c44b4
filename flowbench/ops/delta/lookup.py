"""Lookup of the correlation under the pixel rule: windows whose centres have hardly moved are not looked up again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flowbench.ops.correlation import Correlation
from flowbench.ops.delta.convolution import Delta
from flowbench.ops.delta.pixels import as_rows, rms_of_rows

# From this share of pixels on, looking up all windows is quicker than these alone: 2/3 as measured with two threads.
_BREAK_EVEN = 0.65


@dataclass(frozen=True)
class LookupMemory:
    """The last lookup of one batch of pairs.

    Attributes:
        coords: (B, H, W, 2), the centres of the windows.
        windows: (B, H, W, channels).
    """

    coords: Tensor
    windows: Tensor

    def select(self, index: Tensor) -> LookupMemory:
        return LookupMemory(self.coords[index], self.windows[index])

    def clone(self) -> LookupMemory:
        return LookupMemory(self.coords.clone(), self.windows.clone())


@dataclass(frozen=True)
class DeltaLookup:
    """A correlation whose coordinates follow the pixel rule.

    Pixels whose coordinates have moved by an RMS of at most delta.threshold times `unit` keep their windows.

    Args:
        correlation: of the pairs.
        delta: the rule.
        unit: pixels of the feature map.
    """

    correlation: Correlation
    delta: Delta
    unit: float = 1.0

    def __call__(self, coords: Tensor, memory: LookupMemory | None) -> tuple[Tensor, LookupMemory]:
        """The windows, which are the memory's own and not to be changed in place, and the memory for the next step.

        Args:
            coords: (B, 2, H, W), as in Correlation.lookup.
            memory: of the step before, which is changed in place; None for the first step, which looks up all windows.
        """
        if memory is None:
            memory = LookupMemory(
                coords=coords.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format),
                windows=self.correlation.lookup(coords).permute(0, 2, 3, 1).contiguous(),
            )
        else:
            self._renew(coords, memory.coords.flatten(0, 2), memory.windows.flatten(0, 2))
        return memory.windows.permute(0, 3, 1, 2), memory

    def select(self, index: Tensor) -> DeltaLookup:
        return replace(self, correlation=self.correlation.select(index))

    def _all_at_once(self, moved: float) -> bool:
        execution = self.delta.execution
        return execution == "dense" or (execution == "auto" and moved > _BREAK_EVEN)

    def _renew(self, coords: Tensor, before: Tensor, windows: Tensor) -> None:
        now = as_rows(coords)
        moved = rms_of_rows(now, before) > self.delta.threshold * self.unit
        pixels = moved.nonzero().squeeze(1)
        if pixels.numel() > 0:
            current = now.index_select(0, pixels)
            if self._all_at_once(pixels.numel() / now.shape[0]):
                renewed = as_rows(self.correlation.lookup(coords)).index_select(0, pixels)
            else:
                renewed = self.correlation.lookup_pixels(current, pixels)
            windows.index_copy_(0, pixels, renewed)
            before.index_copy_(0, pixels, current)
        if self.delta.memory == "reference":
            before.copy_(now)
