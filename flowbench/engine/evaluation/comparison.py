"""The variants that one evaluation compares, numbers of iterations or thresholds of the delta rule, and the row of each."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flowbench.engine.config.kinds import is_list, several
from flowbench.engine.evaluation.settings import EvaluateSettings
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel
from flowbench.models.deltadeq import DeltaDEQModel

DENSE = "dense"
_ERRORS = ("epe", "1px", "fl_all")
# Of what a delta rule costs and saves.
_WORK = ("propagated", "propagated_gmacs", "dense_gmacs", "update_gmacs", "update_gmacs_dense_shared")


@dataclass(frozen=True)
class Variant:
    """One setting of a model that is evaluated.

    kind: what is set. value: a number, or None for the model's own; a threshold, or DENSE.
    """

    kind: Literal["iterations", "threshold"]
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


def chosen_variants(settings: EvaluateSettings, model: FlowModel) -> list[Variant]:
    """iterations or threshold, of which one may be a list: numbers in ascending order; thresholds likewise, after the dense
    solve.

    A single threshold is set, and not compared with anything.
    """
    thresholds = [float(value) for value in sorted(several(settings.threshold))]
    numbers: Sequence[int | None] = sorted(several(settings.iterations)) or [model.iterations]
    if settings.iterations is not None and model.iterations is None:
        raise FlowBenchError(f"{model.name} does not iterate: leave iterations out.")
    if not thresholds:
        return [Variant("iterations", number) for number in numbers]
    Variant("iterations", numbers[0]).apply(model)
    if is_list(settings.threshold):
        return [Variant("threshold", DENSE), *(Variant("threshold", value) for value in thresholds)]
    Variant("threshold", thresholds[0]).apply(model)
    return [Variant("iterations", number) for number in numbers]


def variant_row(
    variant: Variant, metrics: Mapping[str, float], samples: Iterable[Mapping[str, Any]], seconds: float
) -> dict[str, Any]:
    """iterations or threshold; steps: the mean of what the samples took; the errors; the work of a delta rule, means over the
    samples; seconds_per_pair."""
    samples = list(samples)
    return {
        variant.kind: variant.value,
        **_means(samples, ("steps",)),
        **{name: metrics[name] for name in _ERRORS if name in metrics},
        **_means(samples, _WORK),
        "seconds_per_pair": seconds,
    }


def _means(samples: list[Mapping[str, Any]], names: Iterable[str]) -> dict[str, float]:
    return {name: statistics.fmean(row[name] for row in samples) for name in names if samples and name in samples[0]}
