"""Checks of an augmentation's settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from flowbench.errors import FlowBenchError


def check(holds: bool, augmentation: object, name: str, expected: str) -> None:
    """Raises FlowBenchError unless the condition holds.

    Args:
        holds: the condition.
        augmentation: whose field is checked.
        name: of the field.
        expected: the values that are allowed, in words.
    """
    if not holds:
        found = getattr(augmentation, name)
        raise FlowBenchError(f"{type(augmentation).__name__}.{name} is {found!r}: give {expected}.")


def check_probability(augmentation: object, *names: str) -> None:
    """Raises FlowBenchError unless each of the fields is a number from 0 to 1."""
    for name in names:
        value = getattr(augmentation, name)
        check(is_number(value) and 0 <= value <= 1, augmentation, name, "a share from 0 (never) to 1 (always)")


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_range(value: Any) -> bool:
    """Whether it is two finite numbers, the lower one first."""
    return _are_two(value) and all(map(is_number, value)) and value[0] <= value[1]


def is_pixels(value: Any, least: int = 0) -> bool:
    """Whether it is two whole numbers, neither below `least`."""
    return _are_two(value) and all(type(number) is int and number >= least for number in value)


def _are_two(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
