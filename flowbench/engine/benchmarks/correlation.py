"""Benchmarks of the correlations: RAFT's lookup, and FastFlowNet's local one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from flowbench.engine.benchmarks.measure import time_calls
from flowbench.engine.benchmarks.settings import BenchmarkSettings
from flowbench.engine.run.devices import chosen_device
from flowbench.io.records import Row
from flowbench.networks.fastflownet import DISPLACEMENTS
from flowbench.ops.correlation import build_correlation
from flowbench.ops.local_correlation import local_correlation, square_displacements
from flowbench.ops.sampling import coordinate_grid, sample_bilinear


def lookup_rows(settings: BenchmarkSettings) -> list[Row]:
    """The correlation lookup of RAFT, gathered once and blended, against a bilinear sample for every entry."""
    device = chosen_device(settings.device)
    height, width = (side // 8 for side in settings.size)
    features = torch.randn(2, settings.batch_size, 256, height, width, device=device)
    coords = coordinate_grid(settings.batch_size, height, width, like=features)
    coords = coords + 4 * torch.randn_like(coords)
    lookups: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        kind: build_correlation(features[0], features[1], kind=kind).lookup for kind in ("all_pairs", "on_demand")
    }
    lookups["grid_sample"] = _grid_sample_lookup(features[0], features[1])
    reference = lookups["grid_sample"](coords)
    rows = []
    for name, lookup in lookups.items():
        times = time_calls(partial(lookup, coords), device, warm_up=settings.warm_up, repeats=settings.repeats)
        difference = (lookup(coords) - reference).abs().max() / reference.abs().max()
        rows.append(
            {
                "lookup": name,
                "size": f"{settings.size[0]}x{settings.size[1]}",
                "median (ms)": 1e3 * times.median,
                "p90 (ms)": 1e3 * times.p90,
                "largest relative difference": difference.item(),
            }
        )
    return rows


def _grid_sample_lookup(features1: torch.Tensor, features2: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """The plain lookup: a pyramid of volumes, 81 bilinear samples per pixel and level."""
    batch, channels, height, width = features1.shape
    volume = features1.flatten(2).transpose(1, 2) @ features2.flatten(2) / channels**0.5
    pyramid = [volume.view(batch * height * width, 1, height, width)]
    for _ in range(3):
        pyramid.append(F.avg_pool2d(pyramid[-1], 2))
    offsets = torch.arange(-4, 5, device=features1.device, dtype=features1.dtype)
    window = torch.stack(torch.meshgrid(offsets, offsets, indexing="ij"))

    def lookup(coords: torch.Tensor) -> torch.Tensor:
        centres = coords.permute(0, 2, 3, 1).reshape(-1, 2, 1, 1)
        sampled = [sample_bilinear(level, centres / 2**number + window) for number, level in enumerate(pyramid)]
        return torch.stack(sampled, dim=1).view(batch, height, width, -1).permute(0, 3, 1, 2)

    return lookup


def local_rows(settings: BenchmarkSettings) -> list[Row]:
    """FastFlowNet's local correlation at 1/4 resolution: its 53 displacements alone, against all 81 and a selection."""
    device = chosen_device(settings.device)
    height, width = (side // 4 for side in settings.size)
    features = torch.randn(2, settings.batch_size, 32, height, width, device=device, requires_grad=True)
    variants = {
        "53": lambda: local_correlation(features[0], features[1], DISPLACEMENTS),
        "81, then 53 of them": lambda: _straightforward_correlation(features[0], features[1]),
    }
    reference = variants["81, then 53 of them"]().detach()
    rows = []
    for name, correlate in variants.items():
        row = {
            "displacements": name,
            "size": f"{height}x{width}",
            "largest difference": (correlate() - reference).abs().max().item(),
        }
        calls: dict[str, Callable[[], object]] = {
            "forward": torch.no_grad()(correlate),
            "and backward": partial(_and_backward, correlate),
        }
        for mode, call in calls.items():
            times = time_calls(call, device, warm_up=settings.warm_up, repeats=settings.repeats)
            row[f"{mode}, median (ms)"] = 1e3 * times.median
        rows.append(row)
    return rows


def _and_backward(correlate: Callable[[], torch.Tensor]) -> None:
    correlate().sum().backward()


def _straightforward_correlation(features1: torch.Tensor, features2: torch.Tensor) -> torch.Tensor:
    """All 81 products of the window in ordinary operations, and FastFlowNet's 53 of them."""
    height, width = features1.shape[-2:]
    padded, displacements = F.pad(features2, [4] * 4), square_displacements(4)
    shifted = [padded[:, :, 4 + dy : 4 + dy + height, 4 + dx : 4 + dx + width] for dy, dx in displacements]
    correlation = torch.stack([(features1 * view).mean(dim=1) for view in shifted], dim=1)
    return correlation[:, [displacements.index(step) for step in DISPLACEMENTS]]
