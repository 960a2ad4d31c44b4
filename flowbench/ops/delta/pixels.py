"""The convolution of a few pixels of a map: their rows as one matrix product, its results added where they belong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Rows that were gathered are multiplied by so much slower than a whole map is convolved, 400 instead of 480 GFLOP/s.
SLOWNESS_OF_ROWS = 1.2
# How many input channels are multiplied in the time that it takes to add one product where it belongs, as
# `python tools/delta_break_even.py` measures it: about 45 in single precision. Half precision multiplies faster and
# adds no faster: about 130 with AVX-512, about 700 with AMX, which must not become slower than the whole map, either.
_CHANNELS_PER_ADDITION: Mapping[torch.dtype, float] = {
    torch.float64: 45,
    torch.float32: 45,
    torch.bfloat16: 700,
    torch.float16: 700,
}
# Rows that are multiplied at once, for their products to be in the processor's cache when they are added.
_CHUNK = 2048
# A 1x1 convolution over so many images or more is oneDNN's in PyTorch, one over fewer the slower matrix product.
_IMAGES = 16
_ELEMENTS_AT_ONCE = 1 << 19


def as_rows(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B * H * W, C), a view where x is in channels-last memory."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def rms_of_rows(now: Tensor, before: Tensor) -> Tensor:
    """(N, C), (N, C) -> (N,), in single precision at least: the RMS of now - before over the channels."""
    count, channels = now.shape
    norms = now.new_empty(count, dtype=torch.promote_types(now.dtype, torch.float32))
    # In parts whose differences stay in the processor's cache: a quarter less time at 512 channels.
    for start in range(0, count, step := max(1, _ELEMENTS_AT_ONCE // channels)):
        part = slice(start, start + step)
        torch.linalg.vector_norm(now[part] - before[part], dim=1, dtype=norms.dtype, out=norms[part])
    return norms.div_(channels**0.5)


@dataclass(frozen=True)
class PixelKernel:
    """A kernel of odd sides for single pixels of a map. weight: (kh * kw * Cout, Cin, 1, 1)."""

    weight: Tensor
    sides: tuple[int, int]

    @classmethod
    def of(cls, weight: Tensor) -> PixelKernel:
        """weight: (Cout, Cin, kh, kw)."""
        matrix = weight.permute(2, 3, 0, 1).reshape(-1, weight.shape[1], 1, 1)
        return cls(matrix.contiguous(), (weight.shape[-2], weight.shape[-1]))

    @property
    def padding(self) -> tuple[int, int]:
        return self.sides[0] // 2, self.sides[1] // 2

    @property
    def break_even(self) -> float:
        """The share of a map's pixels up to which their rows are quicker than the whole map.

        A product of each pixel, kernel element and output channel takes Cin multiplications, and has to be added up.
        """
        channels = self.weight.shape[1]
        return channels / (SLOWNESS_OF_ROWS * channels + _CHANNELS_PER_ADDITION[self.weight.dtype])

    def add(self, rows: Tensor, index: Tensor, padded: Tensor) -> None:
        """Adds the convolution of a map that is zero but for these pixels.

        Args:
            rows: (N, Cin), the pixels.
            index: (N,), their indices in (B, H, W).
            padded: (B, H + 2 ph, W + 2 pw, Cout), changed in place.
        """
        if index.numel() == 0:
            return
        batch, height, width, channels = padded.shape
        down, across = self.padding
        positions = torch.arange(batch * height * width, device=index.device).view(batch, height, width)
        positions = positions[:, down : height - down, across : width - across].reshape(-1).index_select(0, index)
        targets = positions[:, None] + self._steps(width, index.device)
        outputs = padded.view(-1, channels)
        for part, targets_of_part in zip(rows.split(_CHUNK), targets.split(_CHUNK), strict=True):
            products = self._multiply(part)[: part.shape[0]].to(padded.dtype)
            outputs.index_add_(0, targets_of_part.flatten(), products.view(-1, channels))

    def _steps(self, width: int, device: torch.device) -> Tensor:
        """(kh * kw,): from a pixel to the outputs that use it, in a padded map of this width."""
        (down, across), (high, wide) = self.padding, self.sides
        rows, columns = torch.arange(high, device=device)[:, None], torch.arange(wide, device=device)
        return ((down - rows) * width + across - columns).flatten()

    def _multiply(self, rows: Tensor) -> Tensor:
        """(N, Cin) -> (N and up to a multiple, kh * kw * Cout)."""
        rows = F.pad(rows, (0, 0, 0, -rows.shape[0] % (4 * _IMAGES))).to(self.weight.dtype)
        images = rows.view(_IMAGES, -1, 1, rows.shape[1]).permute(0, 3, 1, 2)
        return F.conv2d(images, self.weight).permute(0, 2, 3, 1).reshape(-1, self.weight.shape[0])
