"""At which step limits a network is evaluated, and what is told of each."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import ListConfig

from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel

_TOLD = ("epe", "1px", "fl_all")


def chosen_limits(steps: Any, model: FlowModel) -> list[int | None]:
    """The limits of `steps`, one number or a list, in ascending order; the model's own where `steps` is None."""
    if steps is None:
        return [model.iterations]
    given = list(steps) if isinstance(steps, ListConfig | list) else [steps]
    if not given or any(type(limit) is not int or limit < 1 for limit in given):
        raise FlowBenchError(
            f"steps={_as_written(steps)}: one whole number above zero, or a list of them to compare, is needed, for "
            "instance steps=24 or steps=[12,24]."
        )
    if model.iterations is None:
        raise FlowBenchError(f"{model.name} takes no steps: leave steps out.")
    return sorted(set(given))


def _as_written(steps: Any) -> str:
    return f"[{','.join(map(str, steps))}]" if isinstance(steps, ListConfig | list) else str(steps)


def limit_row(
    limit: int | None, metrics: Mapping[str, float], samples: Iterable[Mapping[str, Any]], seconds: float
) -> dict[str, Any]:
    """limit, steps: the mean of what the samples took, the errors, and seconds_per_pair."""
    taken = [row["steps"] for row in samples if "steps" in row]
    return {
        "limit": limit,
        **({"steps": statistics.fmean(taken)} if taken else {}),
        **{name: metrics[name] for name in _TOLD if name in metrics},
        "seconds_per_pair": seconds,
    }
