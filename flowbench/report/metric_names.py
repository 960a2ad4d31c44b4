"""Units of metrics, and which direction is better."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, NamedTuple

_PIXELS = {"epe", "epe_per_image", "epe_matched", "epe_unmatched", "s0-10", "s10-40", "s40+"}
_PERCENTAGES = {"1px", "3px", "5px", "fl_all"}
# Not errors of an estimate: lengths of the true flow, to read the errors against, and of a predicted one.
_LENGTHS = {"zero_epe", "mean", "median", "p95"}
_SHARES = {"converged", "moving pixels", "occluded pixels"}
_SECONDS = {"seconds_per_pair"}


class MetricKind(NamedTuple):
    """unit: text, empty where there is none or it is unknown. lower_is_better: False where that is not known."""

    unit: str
    lower_is_better: bool
    number_format: str


def metric_kind(name: str) -> MetricKind:
    """The kind of a metric by its name, which may have a prefix such as "val/" or "sintel_clean/"."""
    base = name.rsplit("/", 1)[-1]
    if base in _PIXELS:
        return MetricKind("px", True, ".3f")
    if base in _PERCENTAGES:
        return MetricKind("%", True, ".2f")
    if base in _LENGTHS:
        return MetricKind("px", False, ".3f")
    if base in _SHARES:
        return MetricKind("%", False, ".1f")
    if base in _SECONDS:
        return MetricKind("", True, ".4g")
    return MetricKind("", False, ".4g")


def heading(name: str) -> str:
    """The name with unit and arrow: "epe (px) ↓"."""
    kind = metric_kind(name)
    unit = f" ({kind.unit})" if kind.unit else ""
    arrow = " ↓" if kind.lower_is_better else ""
    return f"{name}{unit}{arrow}"


def formatted(name: str, value: Any) -> str:
    """A value as a table shows it: rounded as the metric `name` asks for, a dash where there is none."""
    if value is None or (isinstance(value, Real) and not math.isfinite(value)):
        return "-"
    if isinstance(value, Real) and not isinstance(value, Integral):
        return format(float(value), metric_kind(name).number_format)
    return str(value)
