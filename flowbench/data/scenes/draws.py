"""Small random draws that several modules share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.random import Generator

Choice = TypeVar("Choice")


def pick(rng: Generator, weighted: Sequence[tuple[Choice, float]]) -> Choice:
    """One of (choice, weight) pairs; the weights need not sum to 1."""
    remaining = rng.random() * sum(weight for _, weight in weighted)
    for choice, weight in weighted:
        remaining -= weight
        if remaining < 0:
            return choice
    return weighted[-1][0]


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform, so that it lies in [1, 2] as often as in [10, 20].

    Args:
        rng: draws it.
        low: above 0.
        high: above low.
    """
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def direction(rng: Generator) -> np.ndarray:
    """A unit vector (x, y)."""
    angle = rng.uniform(0, 2 * math.pi)
    return np.array([math.cos(angle), math.sin(angle)])
