"""Correlation of two feature maps, looked up in windows around moving coordinates (RAFT, arXiv 2003.12039, section 3.2).

The value at (i, j) is <f1_i, f2_j> / sqrt(C); level l of the pyramid pools f2 by 2^l. Both implementations gather whole
integer windows and blend them once, because all (2r+1)^2 samples of a window share one fractional offset. They differ only
in where the integer windows come from: `AllPairsCorrelation` computes every inner product once per pair, O((HW)^2) memory;
`OnDemandCorrelation` computes the inner products of each lookup, O(HW) memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from flowbench.errors import FlowBenchError
from flowbench.ops.memory import total_memory
from flowbench.ops.precision import at_least_float32, full_precision
from flowbench.ops.windows import gather_rows, window_products

CorrelationKind = Literal["all_pairs", "on_demand"]


class Correlation(Protocol):
    def lookup(self, coords: Tensor) -> Tensor:
        """Windows around coords.

        coords: (B, 2, H, W) pixels (x, y) of the feature map. Returns (B, levels * (2r+1)^2, H, W) in channels-last memory,
        at least float32; a window is stored x-major: channel = level * (2r+1)^2 + (dx+r) * (2r+1) + (dy+r). Outside the
        map the correlation is zero. Differentiable in the features and in coords.
        """
        ...

    def lookup_pixels(self, coords: Tensor, pixels: Tensor) -> Tensor:
        """Windows around some of the coords alone.

        coords: (N, 2). pixels: (N,), their indices in (B, H, W). Returns (N, levels * (2r+1)^2), else as `lookup`.
        """
        ...

    def select(self, index: Tensor) -> Correlation:
        """The correlation of these samples of the batch alone."""
        ...


def build_correlation(
    features1: Tensor, features2: Tensor, *, levels: int = 4, radius: int = 4, kind: CorrelationKind = "all_pairs"
) -> Correlation:
    """The correlation between two feature maps, computed in at least float32.

    Args:
        features1: (B, C, H, W), of image1.
        features2: (B, C, H, W), of image2.
        levels: resolutions of the pyramid, from 1 to 1 / 2^(levels-1).
        radius: r of the windows, pixels of each level.
        kind: "all_pairs" or "on_demand"."""
    kinds: dict[str, type[AllPairsCorrelation | OnDemandCorrelation]] = {
        "all_pairs": AllPairsCorrelation,
        "on_demand": OnDemandCorrelation,
    }
    if kind not in kinds:
        raise FlowBenchError(f"Unknown correlation '{kind}': choose one of {', '.join(kinds)}.")
    smallest = min(features1.shape[-2:]) >> (levels - 1)
    if smallest < 1:
        height, width = features1.shape[-2:]
        raise FlowBenchError(
            f"A feature map of {height}x{width} is too small for {levels} correlation levels: each side needs at least "
            f"{1 << (levels - 1)}; give larger images."
        )
    return kinds[kind].of(features1, features2, levels, radius)


def volume_bytes(height: int, width: int, *, batch: int = 1, levels: int = 4, element_bytes: int = 4) -> int:
    """Bytes of the all-pairs pyramid.

    Args:
        height: of the feature maps.
        width: of the feature maps.
        batch: pairs.
        levels: of the pyramid.
        element_bytes: bytes per inner product.
    """
    targets = sum((height >> level) * (width >> level) for level in range(levels))
    return batch * height * width * targets * element_bytes


def _check_volume_fits(features: Tensor, levels: int) -> None:
    if torch.compiler.is_exporting():
        return
    batch, _, height, width = features.shape
    needed = volume_bytes(height, width, batch=batch, levels=levels)
    available = total_memory(features.device)
    if available is not None and needed > available:
        raise FlowBenchError(
            f"The correlation volume of {batch} pairs with {height}x{width} features takes {needed / 2**30:.1f} GiB, more "
            f"than the {available / 2**30:.1f} GiB of the {features.device.type}: set correlation=on_demand in the "
            "network's settings, or give smaller images."
        )


@dataclass(frozen=True)
class AllPairsCorrelation:
    """Correlation by all inner products, computed once.

    Attributes:
        volume: (B, H*W, targets).
    """

    windows: _WindowGeometry
    volume: Tensor

    @classmethod
    def of(cls, features1: Tensor, features2: Tensor, levels: int, radius: int) -> AllPairsCorrelation:
        _check_volume_fits(features1, levels)
        windows = _WindowGeometry.of(features2, levels, radius)
        with full_precision(features1.device):
            queries, targets = _queries_and_targets(features1, features2, windows)
            return cls(windows, queries @ targets.transpose(1, 2))

    def lookup(self, coords: Tensor) -> Tensor:
        return _lookup_all(self, coords)

    def lookup_pixels(self, coords: Tensor, pixels: Tensor) -> Tensor:
        windows = self.windows
        rows, blend = windows.locate(coords.to(self.volume.dtype))
        rows = rows + pixels[:, None, None] * windows.targets
        gathered = gather_rows(self.volume.flatten(), rows.flatten(), windows.side)
        return blend(gathered.view(*rows.shape, windows.side))

    def select(self, index: Tensor) -> AllPairsCorrelation:
        return AllPairsCorrelation(self.windows, self.volume[index])


@dataclass(frozen=True)
class OnDemandCorrelation:
    """Correlation by the inner products of each lookup.

    Attributes:
        windows: geometry of the lookups.
        queries: (B, H*W, C), scaled.
        targets: (B, targets, C).
    """

    windows: _WindowGeometry
    queries: Tensor
    targets: Tensor

    @classmethod
    def of(cls, features1: Tensor, features2: Tensor, levels: int, radius: int) -> OnDemandCorrelation:
        windows = _WindowGeometry.of(features2, levels, radius)
        with full_precision(features1.device):
            return cls(windows, *_queries_and_targets(features1, features2, windows))

    def lookup(self, coords: Tensor) -> Tensor:
        return _lookup_all(self, coords)

    def lookup_pixels(self, coords: Tensor, pixels: Tensor) -> Tensor:
        windows = self.windows
        rows, blend = windows.locate(coords.to(self.queries.dtype))
        own_image = pixels // self.queries.shape[1]
        rows = rows + own_image[:, None, None] * windows.targets
        queries = self.queries.flatten(0, 1)
        queries = queries if pixels.shape[0] == queries.shape[0] else queries[pixels]
        with full_precision(coords.device):
            products = window_products(queries, self.targets.flatten(0, 1), rows, windows.side)
        return blend(products)

    def select(self, index: Tensor) -> OnDemandCorrelation:
        return OnDemandCorrelation(self.windows, self.queries[index], self.targets[index])


def _lookup_all(correlation: Correlation, coords: Tensor) -> Tensor:
    batch, _, height, width = coords.shape
    positions = coords.permute(0, 2, 3, 1).reshape(-1, 2)
    every = torch.arange(positions.shape[0], device=coords.device)
    return correlation.lookup_pixels(positions, every).view(batch, height, width, -1).permute(0, 3, 1, 2)


def _queries_and_targets(features1: Tensor, features2: Tensor, windows: _WindowGeometry) -> tuple[Tensor, Tensor]:
    """features1 as (B, H*W, C), scaled; features2's pyramid as (B, targets, C), x-major, zeros at both ends.

    Pooling is linear, so pooling the features is pooling the correlation.
    """
    features1, features2 = at_least_float32(features1), at_least_float32(features2)
    channels = features1.shape[1]
    queries = features1.flatten(2).transpose(1, 2) / channels**0.5
    pyramid = [features2]
    for _ in range(len(windows.sizes) - 1):
        pyramid.append(F.avg_pool2d(pyramid[-1], 2))
    border = features2.new_zeros(features2.shape[0], windows.border, channels)
    levels = [level.permute(0, 3, 2, 1).flatten(1, 2) for level in pyramid]
    return queries, torch.cat([border, *levels, border], dim=1)


@dataclass(frozen=True)
class _WindowGeometry:
    """Indices of the windows in a pyramid that is stored as one row of targets.

    A level is stored x-major (a column of the image is contiguous), so a window is `side` runs of `side` neighbours. Runs
    in columns outside the level read the zeros at the front; positions above or below it get the blending weight zero.

    heights, widths, starts, scale: (levels, 1), of each level its size, its first target and the size of its pixels. offsets:
    (side,), from a centre to the positions of its window. They are made once per pair: a GPU waits for each copy of a list.
    """

    sizes: tuple[tuple[int, int], ...]
    radius: int
    heights: Tensor
    widths: Tensor
    starts: Tensor
    scale: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, features: Tensor, levels: int, radius: int) -> _WindowGeometry:
        height, width = features.shape[-2:]
        sizes = tuple((height // 2**level, width // 2**level) for level in range(levels))
        side = 2 * radius + 2
        areas = [height * width for height, width in sizes]

        def column(values: Iterable[float], dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.tensor(list(values), dtype=dtype, device=features.device)[:, None]

        return cls(
            sizes=sizes,
            radius=radius,
            heights=column(height for height, _ in sizes),
            widths=column(width for _, width in sizes),
            starts=column(side + sum(areas[:level]) for level in range(levels)),
            scale=column((0.5**level for level in range(levels)), torch.promote_types(features.dtype, torch.float32)),
            offsets=torch.arange(side, device=features.device) - radius,
        )

    @property
    def side(self) -> int:
        return 2 * self.radius + 2

    @property
    def border(self) -> int:
        return self.side

    @property
    def targets(self) -> int:
        return 2 * self.border + sum(height * width for height, width in self.sizes)

    def locate(self, coords: Tensor) -> tuple[Tensor, _Blend]:
        """coords (N, 2) -> the first element of every run, (N, levels, side), and how to blend the runs."""
        centres = coords.unsqueeze(1) * self.scale
        corners = centres.floor()
        fraction = centres - corners
        # Beyond these bounds a window holds nothing but zeros; the clamp keeps the integers small.
        corners = corners.clamp(min=-4 * self.side, max=4 * self.side + max(max(size) for size in self.sizes)).long()
        x, y = corners[..., :1] + self.offsets, corners[..., 1:] + self.offsets
        first = self.starts + x * self.heights + y[..., :1].clamp(min=-self.side).minimum(self.heights)
        rows = torch.where((x >= 0) & (x < self.widths), first, 0)
        return rows, _Blend(fraction, (y >= 0) & (y < self.heights))


@dataclass(frozen=True)
class _Blend:
    """Bilinear blending of integer windows. fraction: (N, levels, 2); inside: (N, levels, side), rows within the level."""

    fraction: Tensor
    inside: Tensor

    def __call__(self, windows: Tensor) -> Tensor:
        """windows (N, levels, side, side) -> (N, levels * (side-1)^2)."""
        side = windows.shape[-1]
        runs = windows.flatten(2)
        along_x = torch.lerp(runs[..., :-side], runs[..., side:], self.fraction[..., :1]).unflatten(
            -1, (side - 1, side)
        )
        inside = self.inside.to(windows.dtype)
        upper = ((1 - self.fraction[..., 1:]) * inside[..., :-1]).unsqueeze(2)
        lower = (self.fraction[..., 1:] * inside[..., 1:]).unsqueeze(2)
        return torch.addcmul(along_x[..., :-1] * upper, along_x[..., 1:], lower).flatten(1)
