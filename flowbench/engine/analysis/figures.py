"""Charts and tables of a pair's solve and of its delta rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from flowbench.deq.convergence import Convergence
from flowbench.io.records import Row
from flowbench.networks.delta_shares import DeltaSolve, LayerShares
from flowbench.report.convergence_page import FirstSteps, PartFigures, RuleFigures

ALL_LAYERS = "all layers"


def part_figures(name: str, part: Convergence, to_image: Callable[[Tensor], Tensor]) -> PartFigures:
    """part: of one pair. to_image: (1, 1, h, w) of the network -> (1, 1, H, W) of the image."""
    energy = part.energy[:, 0].sum(dim=0)
    return PartFigures(
        name=name,
        channel_energy=(energy / energy.sum()).cpu().numpy(),
        first_steps=[_first_steps(part, tolerance, to_image) for tolerance in part.tolerances],
        changes=part.changes[:, 0].cpu().numpy(),
        relative_changes=part.relative_changes[:, 0].cpu().numpy(),
        cumulative_energy=part.cumulative_energy[:, 0].cpu().numpy(),
    )


def _first_steps(part: Convergence, tolerance: float, to_image: Callable[[Tensor], Tensor]) -> FirstSteps:
    first = part.first_under(tolerance)[0]
    counts = first.flatten().bincount(minlength=part.steps + 2)[1:].double() / first.numel()
    pixels = first.flatten(1).sort(dim=1).values
    by_channel = torch.stack([pixels[:, round(share * (pixels.shape[1] - 1))] for share in (0.25, 0.5, 0.75)])
    # The upper median: of the two coordinates, the slower one.
    by_pixel = first.kthvalue(first.shape[0] // 2 + 1, dim=0).values
    return FirstSteps(
        tolerance=tolerance,
        by_pixel=_with_never(to_image(by_pixel[None, None].double())[0, 0], part.steps),
        by_channel=_with_never(by_channel.double(), part.steps),
        counts=counts[:-1].cpu().numpy(),
        never=counts[-1].item(),
    )


def _with_never(steps: Tensor, last: int) -> np.ndarray:
    return torch.where(steps > last, torch.inf, steps).cpu().numpy()


def summary_rows(parts: Sequence[tuple[PartFigures, Convergence]]) -> list[Row]:
    """One row a part and tolerance: medians over its dimensions, None for a step that never comes, and the steps by which so
    much of the squared change is over."""
    rows = []
    for figure, part in parts:
        energy = {
            f"{share}% of energy": int((part.cumulative_energy[:, 0] < share / 100).sum()) + 1 for share in (90, 99)
        }
        for first in figure.first_steps:
            steps, under_from = part.first_under(first.tolerance), part.under_from(first.tolerance)
            rows.append(
                {
                    "part": figure.name,
                    "dimensions": steps.numel(),
                    "tolerance": first.tolerance,
                    "first step": _median(steps, part.steps),
                    "stays from": _median(under_from, part.steps),
                    "never (%)": 100 * first.never,
                    "at the end (%)": 100 * (under_from <= part.steps).double().mean().item(),
                    **energy,
                }
            )
    return rows


def _median(steps: Tensor, last: int) -> int | None:
    median = int(steps.flatten().median())
    return median if median <= last else None


def step_rows(parts: Sequence[PartFigures]) -> list[Row]:
    rows = []
    for step in range(len(parts[0].changes)):
        row: Row = {"step": step + 1}
        for part in parts:
            row[f"{part.name}, change"] = part.changes[step]
            row[f"{part.name}, relative change"] = part.relative_changes[step]
            row[f"{part.name}, cumulative energy"] = part.cumulative_energy[step]
            for first in part.first_steps:
                row[f"{part.name}, share first under {first.tolerance:g}"] = first.counts[step]
        rows.append(row)
    return rows


def channel_rows(parts: Sequence[PartFigures]) -> list[Row]:
    """One row a channel: its share of the squared change, and the quartiles of its pixels' first steps, empty for never."""
    rows = []
    for figure in parts:
        for channel, share in enumerate(figure.channel_energy):
            row: Row = {"part": figure.name, "channel": channel, "share of energy": share}
            for first in figure.first_steps:
                for name, steps in zip(("first quartile", "median", "third quartile"), first.by_channel, strict=True):
                    row[f"first under {first.tolerance:g}, {name}"] = steps[channel]
            rows.append(row)
    return rows


def rule_figures(name: str, solve: DeltaSolve) -> RuleFigures:
    """Of the element rule the elements that are left out, of the pixel rule the pixels; all layers together at the top."""
    of = "pixels" if name == "pixel" else "elements"
    layers = {layer: getattr(shares, of) for layer, shares in solve.layers.items()}
    return RuleFigures(name, of, {ALL_LAYERS: _together(list(solve.layers.values()), of)} | layers)


def _together(layers: Sequence[LayerShares], of: str) -> list[float]:
    """Weighted by the layers' multiplications a pixel, that is the elements of their kernels."""
    weights = [layer.weights for layer in layers]
    return [
        float(np.average(shares, weights=weights))
        for shares in zip(*(getattr(layer, of) for layer in layers), strict=True)
    ]


def left_out_rows(element: DeltaSolve, pixel: DeltaSolve) -> list[Row]:
    """One row a layer: the mean over the steps, the first among them, which leaves nothing out."""
    columns = {
        "element rule: elements (%)": (element, "elements"),
        "element rule: whole pixels (%)": (element, "pixels"),
        "pixel rule: pixels (%)": (pixel, "pixels"),
    }
    everything = {
        name: 100 * float(np.mean(_together(list(solve.layers.values()), of))) for name, (solve, of) in columns.items()
    }
    rows: list[Row] = [{"layer": ALL_LAYERS, **everything}]
    for layer in element.layers:
        means = {name: 100 * float(np.mean(getattr(solve.layers[layer], of))) for name, (solve, of) in columns.items()}
        rows.append({"layer": layer, **means})
    return rows


def sparsity_rows(rules: Sequence[RuleFigures]) -> list[Row]:
    return [
        {"rule": rule.name, "layer": layer, "step": step, "left out": share, "of": rule.counted}
        for rule in rules
        for layer, shares in rule.layers.items()
        for step, share in enumerate(shares, start=1)
    ]
