"""The look-up of the correlation under the pixel rule: a window whose place has hardly moved is not looked up again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from flowbench.ops.correlation import Correlation
from flowbench.ops.delta import Delta
from flowbench.ops.delta_pixels import as_rows, rms_of_rows

# From this share of pixels on, looking up all windows is quicker than these alone: 2/3 as measured with two threads.
_BREAK_EVEN = 0.65


@dataclass
class LookupMemory:
    """Of one batch of pairs. coords: (B, H, W, 2), where the windows were looked up; windows: (B, H, W, channels)."""

    coords: Tensor | None = None
    windows: Tensor | None = None

    def select(self, index: Tensor) -> LookupMemory:
        if self.coords is None:
            return LookupMemory()
        return LookupMemory(self.coords[index], self.windows[index])


@dataclass(frozen=True)
class DeltaLookup:
    """A correlation for the steps of one solve, in their order: the coordinates follow the pixel rule.

    Pixels whose coordinates have moved by an RMS of at most delta.threshold times `unit`, in pixels of the feature map, keep
    their windows. Where gradient is recorded it looks up all of them, and remembers nothing.
    """

    correlation: Correlation
    delta: Delta
    unit: float = 1.0
    memory: LookupMemory = field(default_factory=LookupMemory)

    def lookup(self, coords: Tensor) -> Tensor:
        """As Correlation.lookup, but the windows stay the memory's own, and are not to be changed in place."""
        if torch.is_grad_enabled():
            return self.correlation.lookup(coords)
        memory = self.memory
        if memory.coords is None:
            memory.coords = coords.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
            memory.windows = self.correlation.lookup(coords).permute(0, 2, 3, 1).contiguous()
        else:
            self._renew(coords, memory.coords.flatten(0, 2), memory.windows.flatten(0, 2))
        return memory.windows.permute(0, 3, 1, 2)

    def select(self, index: Tensor) -> DeltaLookup:
        return replace(self, correlation=self.correlation.select(index), memory=self.memory.select(index))

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
