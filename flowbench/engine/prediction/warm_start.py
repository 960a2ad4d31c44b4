"""The cost of solving pairs, and what a warm start saves of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from torch import Tensor

from flowbench.deq import StopReason

_METRICS = ("steps", "abs_residual", "rel_residual", "propagated_gmacs")


@dataclass(frozen=True)
class PairCost:
    """The cost of one pair.

    Attributes:
        warm: Whether it started from the pair before.
        seconds: With the copies to the device and back.
        metrics: What the network reports of its solver: steps, abs_residual, rel_residual, converged (%), and with a delta
            rule propagated_gmacs, the 10^9 multiply-accumulates that it left.
    """

    warm: bool
    seconds: float
    metrics: dict[str, float]


def costs_of(stats: dict[str, Tensor], pairs: int, seconds: float) -> list[PairCost]:
    """One cost per pair of a batch that took so many seconds. stats: those of its FlowOutput."""
    known = {name: stats[name].tolist() for name in _METRICS if name in stats}
    if "reason" in stats:
        known["converged"] = (100.0 * (stats["reason"] == StopReason.CONVERGED)).tolist()
    warm = stats["warm"].tolist() if "warm" in stats else [False] * pairs
    return [
        PairCost(bool(warm[index]), seconds / pairs, {name: float(values[index]) for name, values in known.items()})
        for index in range(pairs)
    ]


def mean_cost(costs: Sequence[PairCost]) -> dict[str, float]:
    """seconds, and the solver's metrics, each a mean over the pairs; nothing where there is no pair."""
    if not costs:
        return {}
    metrics = {name: fmean(cost.metrics[name] for cost in costs) for name in costs[0].metrics}
    return {**metrics, "seconds": fmean(cost.seconds for cost in costs)}


class ColdComparison:
    """Solves each pair from a cold start, too, to say what the warm start saved.

    The pairs that could not start from another are left out of the metrics: there, the two are the same.
    """

    def __init__(self, solve_cold: Callable[[np.ndarray, np.ndarray], np.ndarray], costs: Sequence[PairCost]) -> None:
        """costs: those of `solve_cold`, which grow with its calls."""
        self._solve_cold = solve_cold
        self._costs = costs
        self._differences: list[float] = []

    def __call__(self, image1: np.ndarray, image2: np.ndarray, warm_flow: np.ndarray) -> None:
        difference = np.linalg.norm(self._solve_cold(image1, image2) - warm_flow, axis=-1)
        self._differences += difference.mean(axis=(1, 2), dtype=np.float64).tolist()

    def summary(self, warm: Sequence[PairCost]) -> dict[str, Any]:
        """warm: the same pairs' costs from a warm start. steps_saved: %. difference: mean |difference| of the flows, px."""
        indices = [index for index, cost in enumerate(warm) if cost.warm]
        if not indices:
            return {"pairs": 0}
        means = {
            name: mean_cost([costs[index] for index in indices])
            for name, costs in (("warm", warm), ("cold", self._costs))
        }
        found = {"pairs": len(indices), **means, "difference": fmean(self._differences[index] for index in indices)}
        if "steps" in means["cold"]:
            found["steps_saved"] = 100 * (1 - means["warm"]["steps"] / means["cold"]["steps"])
        return found


def warm_start_summary(costs: Sequence[PairCost], comparison: ColdComparison | None) -> dict[str, Any]:
    """pairs_from_the_one_before; the means over all pairs; compare_cold: those of the comparison."""
    summary = {"pairs_from_the_one_before": sum(cost.warm for cost in costs), **mean_cost(costs)}
    return summary if comparison is None else {**summary, "compare_cold": comparison.summary(costs)}


def warm_start_lines(summary: dict[str, Any], pairs: int) -> Iterator[str]:
    """`warm_start_summary` for the terminal."""
    yield f"warm start: {summary['pairs_from_the_one_before']} of {pairs} pairs from the one before; {_solved(summary)}"
    compared = summary.get("compare_cold")
    if compared is None:
        return
    if not compared["pairs"]:
        yield "warm against cold: no pair had one before it to start from, so there is nothing to compare"
        return
    saved = f", {compared['steps_saved']:.1f}% of the iterations saved" if "steps_saved" in compared else ""
    yield f"the {compared['pairs']} warm: {_solved(compared['warm'])}"
    yield f"the same cold: {_solved(compared['cold'])}"
    yield f"warm against cold: the flows differ by {compared['difference']:.4f} px on average{saved}"


def _solved(means: dict[str, float]) -> str:
    parts = []
    if "steps" in means:
        parts.append(f"{means['steps']:.1f} iterations per pair")
    if "abs_residual" in means:
        parts.append(f"residual {means['abs_residual']:.3g} (relative {means['rel_residual']:.3g})")
    if "converged" in means:
        parts.append(f"{means['converged']:.0f}% of the pairs within the tolerance")
    if "propagated_gmacs" in means:
        parts.append(f"{means['propagated_gmacs']:.2f} GMAC propagated")
    return ", ".join([*parts, f"{means['seconds']:.3f} s per pair"])
