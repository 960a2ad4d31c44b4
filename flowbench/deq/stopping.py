"""The rule by which samples of a batch stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Mode = Literal["absolute", "relative"]
Converged = Literal["freeze", "drop", "continue"]


@dataclass(frozen=True, kw_only=True)
class StoppingRule:
    """The condition under which a sample stops, and its treatment afterwards.

    Args:
        max_steps: the most steps that are taken.
        tolerance: a sample has converged once its residual is smaller. 0: none ever has, all take `max_steps` steps, and
            the solver never waits for the device.
        mode: whether the residual that decides is the absolute or the relative one.
        component: the part of the state whose residual decides; None for all of it.
        converged: what happens to a sample that has converged while others of its batch have not. "freeze": it keeps its
            state, but f still computes it. "drop": f no longer sees it, for which f needs `select`. "continue": it goes on
            until all are within the tolerance at the same step.
    """

    max_steps: int = 40
    tolerance: float = 1e-3
    mode: Mode = "absolute"
    component: int | None = None
    converged: Converged = "freeze"

    def __post_init__(self) -> None:
        if not isinstance(self.max_steps, int) or self.max_steps < 1:
            raise ValueError(f"max_steps={self.max_steps}: a solver needs at least 1 step.")
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance={self.tolerance}: give a tolerance of at least 0.")
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode={self.mode!r}: choose one of {', '.join(get_args(Mode))}.")
        if self.converged not in get_args(Converged):
            raise ValueError(f"converged={self.converged!r}: choose one of {', '.join(get_args(Converged))}.")
