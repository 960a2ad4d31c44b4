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
# The largest loss of PSNR (dB) at which a fit counts as equally good.
COMPARABLE = 0.3


@dataclass(frozen=True)
class Measured:
    """One way of solving, with its quality and cost.

    Args:
        way: in words.
        delta: the delta rule, if it is one.
        psnr: dB.
        solve_macs: multiply-accumulates of the hidden layer over all steps and pixels.
        total_macs: also those of features, injection and output, which are the same for all ways.
        seconds: of the fastest of a few solves; None where the multiplications that are counted as left out are carried out.
        solved: the result."""

    way: str
    delta: Delta | None
    psnr: float
    solve_macs: float
    total_macs: float
    seconds: float | None
    solved: Solved


def measure(network: ImplicitImage, image: np.ndarray, deltas: Sequence[Delta]) -> list[Measured]:
    """Measures "dense", for comparison, then ways to leave out work without a delta rule, then the delta rules in order.

    Args:
        network: fitted to the image.
        image: (H, W, 3) uint8.
        deltas: the rules."""
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
        *(measured(_named(delta), partial(solve_with_delta, network, size, delta), delta) for delta in deltas),
    ]


def saved(measured: Measured, dense: Measured) -> tuple[float, float]:
    """The share of the dense cost that is saved, in percent: of the solve, and of everything."""
    return (
        100 * (1 - measured.solve_macs / dense.solve_macs),
        100 * (1 - measured.total_macs / dense.total_macs),
    )


def cheapest_comparable(measured: Sequence[Measured]) -> Measured:
    """Of the delta rules that lose at most COMPARABLE dB, the one that multiplies least; if there is none, the one that
    loses least. measured: the result of `measure`, with at least one delta rule."""
    deltas = [way for way in measured if way.delta is not None]
    good = [way for way in deltas if way.psnr >= measured[0].psnr - COMPARABLE]
    return min(good, key=lambda way: way.solve_macs) if good else max(deltas, key=lambda way: way.psnr)


def _named(delta: Delta) -> str:
    return f"{delta.rule}, {delta.memory}, {delta.threshold:g}"


def _timed(solve: Callable[[], Solved]) -> tuple[Solved, float]:
    seconds = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        solved = solve()
        seconds.append(time.perf_counter() - started)
    return solved, min(seconds)
