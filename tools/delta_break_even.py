"""A measurement of the share of active pixels from which the whole map is quicker.

`python tools/delta_break_even.py` runs it.
For each precision it prints what `flowbench/ops/delta/pixels.py` holds as a constant: how many input channels are multiplied
in the time that it takes to add one product where it belongs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from flowbench.ops.delta.convolution import Delta, DeltaConv
from flowbench.ops.delta.pixels import SLOWNESS_OF_ROWS

_SIZE = (55, 128)
# Input channels, output channels, kernel: layers of DEQ-Flow B and H.
_LAYERS = (
    (256, 192, (3, 3)),
    (256, 126, (3, 3)),
    (512, 384, (3, 3)),
    (256, 256, (1, 5)),
    (512, 512, (1, 5)),
    (256, 128, (5, 1)),
)
_SHARES = (0.1, 0.5)


def channels_per_addition(inputs: int, outputs: int, kernel: tuple[int, int], dtype: torch.dtype) -> float:
    """Of one layer on this machine, from the time of two shares of active pixels and that of the whole map."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=(kernel[0] // 2, kernel[1] // 2))
    conv = DeltaConv.of(layer, dtype)
    x = torch.randn(1, inputs, *_SIZE).to(dtype).contiguous(memory_format=torch.channels_last)
    memory = conv(x, None, Delta()).memory
    masks = [torch.rand(1, 1, *_SIZE) < share for share in _SHARES]
    few, many, whole = _quickest(
        lambda: conv.update(x, memory, masks[0], Delta(execution="sparse")),
        lambda: conv.update(x, memory, masks[1], Delta(execution="sparse")),
        lambda: conv.update(x, memory, masks[1], Delta(execution="dense")),
    )
    per_share = (many - few) / (_SHARES[1] - _SHARES[0])
    break_even = (whole - (few - _SHARES[0] * per_share)) / per_share
    return inputs * (1 / break_even - SLOWNESS_OF_ROWS)


def _quickest(*calls: Callable[[], None], repeats: int = 15) -> list[float]:
    """Seconds of the calls, which take turns. Nothing else should run."""

    def seconds(call: Callable[[], None]) -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    rounds = [[seconds(call) for call in calls] for _ in range(repeats)]
    return [min(times) for times in zip(*rounds, strict=True)]


@torch.no_grad()
def main() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        found = [channels_per_addition(*layer, dtype) for layer in _LAYERS]
        by_layer = ", ".join(f"{channels:.0f}" for channels in found)
        print(f"{dtype}: {statistics.median(found):.0f} ({by_layer}), {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
