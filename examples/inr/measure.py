"""Quality against cost: the same fitted image solved in several ways."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from examples.inr.network import ImplicitImage
from examples.inr.solve import Solved, solve_densely, solve_pixel_by_pixel, solve_with_delta, solve_without_zeros
from examples.inr.training import colours, psnr
from flowbench.ops.delta.convolution import Delta

_REPEATS = 3
# What may be lost for a fit to be called as good.
COMPARABLE = 0.3


@dataclass(frozen=True)
class Measured:
    """way: of solving, in words; delta: where it is a delta rule. psnr: dB. solve_macs: multiply-accumulates of the hidden
    layer over all steps and pixels. total_macs: with features, injection and output, which are the same for all ways.
    seconds: the quickest of a few solves, or None where nothing is left out that is counted as left out."""

    way: str
    delta: Delta | None
    psnr: float
    solve_macs: float
    total_macs: float
    seconds: float | None
    solved: Solved


def measure(network: ImplicitImage, image: np.ndarray, deltas: Sequence[Delta]) -> list[Measured]:
    """First "dense", to which the others are to be compared; then what can be left out without a delta rule; then the
    rules in their order. image: (H, W, 3) uint8, the one that was fitted."""
    size = image.shape[:2]
    wanted = colours(image).to(network.output.weight.dtype)

    def measured(way: str, solve: Callable[[], Solved], delta: Delta | None = None, timed: bool = True) -> Measured:
        solved, seconds = _timed(solve) if timed else (solve(), None)
        macs = solved.multiplied.double().sum().item() * network.hidden.out_features
        total = macs + len(wanted) * network.fixed_macs()
        return Measured(way, delta, psnr(solved.colour, wanted), macs, total, seconds, solved)

    return [
        measured("dense", lambda: solve_densely(network, size)),
        measured("dense, zeros left out", lambda: solve_without_zeros(network, size), timed=False),
        measured("dense, pixel by pixel", lambda: solve_pixel_by_pixel(network, size)),
        *(measured(_named(each), partial(solve_with_delta, network, size, each), each) for each in deltas),
    ]


def saved(measured: Measured, dense: Measured) -> tuple[float, float]:
    """The share of the dense cost that is saved, in percent: of the solve, and of everything."""
    return (
        100 * (1 - measured.solve_macs / dense.solve_macs),
        100 * (1 - measured.total_macs / dense.total_macs),
    )


def cheapest_comparable(measured: Sequence[Measured]) -> Measured:
    """Of the delta rules that lose at most COMPARABLE dB, the one that multiplies least; the one that loses least, if
    none does. measured: as `measure` gives it, with at least one delta rule."""
    deltas = [each for each in measured if each.delta is not None]
    good = [each for each in deltas if each.psnr >= measured[0].psnr - COMPARABLE]
    return min(good, key=lambda each: each.solve_macs) if good else max(deltas, key=lambda each: each.psnr)


def _named(delta: Delta) -> str:
    return f"{delta.rule}, {delta.memory}, {delta.threshold:g}"


def _timed(solve: Callable[[], Solved]) -> tuple[Solved, float]:
    seconds = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        solved = solve()
        seconds.append(time.perf_counter() - started)
    return solved, min(seconds)
