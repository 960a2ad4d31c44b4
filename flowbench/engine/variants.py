"""What one evaluation compares: step limits, or thresholds of the delta rule; and what is told of each."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import DictConfig, ListConfig

from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel
from flowbench.models.deltadeq import DeltaDEQModel

DENSE = "dense"
_TOLD = ("epe", "1px", "fl_all")
# Of what a delta rule costs and saves.
_WORK = ("propagated", "propagated_gmacs", "dense_gmacs", "update_gmacs", "update_gmacs_dense_shared")


@dataclass(frozen=True)
class Variant:
    """One setting of a model that is evaluated.

    kind: what is set. value: a limit, or None for the model's own; a threshold, or DENSE.
    """

    kind: Literal["limit", "threshold"]
    value: int | float | str | None

    def apply(self, model: FlowModel) -> None:
        if self.kind == "threshold":
            if not isinstance(model, DeltaDEQModel):
                raise FlowBenchError(
                    f"{model.name} has no delta rule: leave threshold out, or choose a model=deltadeq_..."
                )
            model.set_threshold(None if isinstance(self.value, str) else self.value)
        elif isinstance(self.value, int):
            model.set_iterations(self.value)


def chosen_variants(config: DictConfig, model: FlowModel) -> list[Variant]:
    """steps or threshold, of which one may be a list: limits in ascending order; thresholds likewise, after the dense solve.

    A single threshold is set, and not compared with anything.
    """
    thresholds = chosen_thresholds(config.threshold)
    limits = chosen_limits(config.steps, model)
    if is_compared(config.threshold) and is_compared(config.steps):
        raise FlowBenchError(
            "steps and threshold are both lists, but one table compares one of them: give a single number for the other."
        )
    if not thresholds:
        return [Variant("limit", limit) for limit in limits]
    Variant("limit", limits[0]).apply(model)
    if is_compared(config.threshold):
        return [Variant("threshold", DENSE), *(Variant("threshold", value) for value in thresholds)]
    Variant("threshold", thresholds[0]).apply(model)
    return [Variant("limit", limit) for limit in limits]


def is_compared(setting: Any) -> bool:
    return isinstance(setting, ListConfig | list)


def chosen_thresholds(threshold: Any) -> list[float]:
    """The thresholds of `threshold`, one number or a list, in ascending order; none where it is None."""
    if threshold is None:
        return []
    given = list(threshold) if is_compared(threshold) else [threshold]
    if not given or any(type(value) not in (int, float) or not 0 <= value < float("inf") for value in given):
        raise FlowBenchError(
            f"threshold={_as_written(threshold)}: one number from 0 up, or a list of them to compare, is needed, for "
            "instance threshold=[0,0.005,0.02]."
        )
    return sorted({float(value) for value in given})


def chosen_limits(steps: Any, model: FlowModel) -> list[int | None]:
    """The limits of `steps`, one number or a list, in ascending order; the model's own where `steps` is None."""
    if steps is None:
        return [model.iterations]
    given = list(steps) if is_compared(steps) else [steps]
    if not given or any(type(limit) is not int or limit < 1 for limit in given):
        raise FlowBenchError(
            f"steps={_as_written(steps)}: one whole number above zero, or a list of them to compare, is needed, for "
            "instance steps=24 or steps=[12,24]."
        )
    if model.iterations is None:
        raise FlowBenchError(f"{model.name} takes no steps: leave steps out.")
    return sorted(set(given))


def _as_written(setting: Any) -> str:
    return f"[{','.join(map(str, setting))}]" if is_compared(setting) else str(setting)


def variant_row(
    variant: Variant, metrics: Mapping[str, float], samples: Iterable[Mapping[str, Any]], seconds: float
) -> dict[str, Any]:
    """limit or threshold; steps: the mean of what the samples took; the errors; the work of a delta rule, means over the
    samples; seconds_per_pair."""
    samples = list(samples)
    return {
        variant.kind: variant.value,
        **_means(samples, ("steps",)),
        **{name: metrics[name] for name in _TOLD if name in metrics},
        **_means(samples, _WORK),
        "seconds_per_pair": seconds,
    }


def _means(samples: list[Mapping[str, Any]], names: Iterable[str]) -> dict[str, float]:
    return {name: statistics.fmean(row[name] for row in samples) for name in names if samples and name in samples[0]}
