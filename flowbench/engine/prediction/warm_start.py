"""Warm-start statistics: the cost of solving pairs, and what a warm start saves of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from torch import Tensor

from flowbench.deq import StopReason

_FIGURES = ("steps", "abs_residual", "rel_residual", "propagated_gmacs")


@dataclass(frozen=True)
class Effort:
    """Of one pair. warm: whether it started from the pair before. seconds: with the way to the device and back. figures: what
    the network tells of its solver, as far as it does: steps, abs_residual, rel_residual, converged (%), and of a delta rule
    propagated_gmacs, the 10^9 multiply-accumulates that it left."""

    warm: bool
    seconds: float
    figures: dict[str, float]


def efforts_of(stats: dict[str, Tensor], pairs: int, seconds: float) -> list[Effort]:
    """One a pair of a batch that took so many seconds. stats: those of its FlowOutput."""
    known = {name: stats[name].tolist() for name in _FIGURES if name in stats}
    if "reason" in stats:
        known["converged"] = (100.0 * (stats["reason"] == StopReason.CONVERGED)).tolist()
    warm = stats["warm"].tolist() if "warm" in stats else [False] * pairs
    return [
        Effort(bool(warm[place]), seconds / pairs, {name: float(values[place]) for name, values in known.items()})
        for place in range(pairs)
    ]


def mean_effort(efforts: Sequence[Effort]) -> dict[str, float]:
    """seconds, and the solver's figures, each a mean over the pairs; nothing where there is no pair."""
    if not efforts:
        return {}
    figures = {name: fmean(effort.figures[name] for effort in efforts) for name in efforts[0].figures}
    return {**figures, "seconds": fmean(effort.seconds for effort in efforts)}


class ColdComparison:
    """Solves each pair from a cold start, too, to say what the warm start saved.

    The pairs that could not start from another are left out of the figures: there, the two are the same.
    """

    def __init__(self, solve_cold: Callable[[np.ndarray, np.ndarray], np.ndarray], efforts: Sequence[Effort]) -> None:
        """efforts: those of `solve_cold`, which grow with its calls."""
        self._solve_cold = solve_cold
        self._efforts = efforts
        self._differences: list[float] = []

    def __call__(self, image1: np.ndarray, image2: np.ndarray, warm_flow: np.ndarray) -> None:
        difference = np.linalg.norm(self._solve_cold(image1, image2) - warm_flow, axis=-1)
        self._differences += difference.mean(axis=(1, 2), dtype=np.float64).tolist()

    def summary(self, warm: Sequence[Effort]) -> dict[str, Any]:
        """warm: the same pairs' efforts from a warm start. steps_saved: %. difference: mean |difference| of the flows, px."""
        places = [place for place, effort in enumerate(warm) if effort.warm]
        if not places:
            return {"pairs": 0}
        means = {
            name: mean_effort([efforts[place] for place in places])
            for name, efforts in (("warm", warm), ("cold", self._efforts))
        }
        found = {"pairs": len(places), **means, "difference": fmean(self._differences[place] for place in places)}
        if "steps" in means["cold"]:
            found["steps_saved"] = 100 * (1 - means["warm"]["steps"] / means["cold"]["steps"])
        return found


def warm_start_summary(efforts: Sequence[Effort], comparison: ColdComparison | None) -> dict[str, Any]:
    """pairs_from_the_one_before; the means over all pairs; compare_cold: those of the comparison."""
    summary = {"pairs_from_the_one_before": sum(effort.warm for effort in efforts), **mean_effort(efforts)}
    return summary if comparison is None else {**summary, "compare_cold": comparison.summary(efforts)}


def warm_start_lines(summary: dict[str, Any], pairs: int) -> Iterator[str]:
    """`warm_start_summary` for the terminal."""
    yield f"warm start: {summary['pairs_from_the_one_before']} of {pairs} pairs from the one before; {_solved(summary)}"
    compared = summary.get("compare_cold")
    if compared is None:
        return
    if not compared["pairs"]:
        yield "warm against cold: no pair had one before it to start from, so there is nothing to compare"
        return
    saved = f", {compared['steps_saved']:.1f}% of the steps saved" if "steps_saved" in compared else ""
    yield f"the {compared['pairs']} warm: {_solved(compared['warm'])}"
    yield f"the same cold: {_solved(compared['cold'])}"
    yield f"warm against cold: the flows differ by {compared['difference']:.4f} px on average{saved}"


def _solved(means: dict[str, float]) -> str:
    told = []
    if "steps" in means:
        told.append(f"{means['steps']:.1f} steps a pair")
    if "abs_residual" in means:
        told.append(f"residual {means['abs_residual']:.3g} (relative {means['rel_residual']:.3g})")
    if "converged" in means:
        told.append(f"{means['converged']:.0f}% of the pairs within the tolerance")
    if "propagated_gmacs" in means:
        told.append(f"{means['propagated_gmacs']:.2f} GMAC propagated")
    return ", ".join([*told, f"{means['seconds']:.3f} s a pair"])
