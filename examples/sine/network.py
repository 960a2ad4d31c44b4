"""The recurrent network whose equilibrium follows a sine."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flowbench.deq import FixedPoint, Map

UNITS = 20
STEPS = 15


class SineNetwork(nn.Module):
    """h <- tanh(U x + W h + b) with a constant scalar x, STEPS times from h = 0; the answer is linear in the last h.

    It is the network of DeltaDEQ's notebook (NeurIPS 2024). W contracts where its largest singular value is below 1; the
    limit of h is then unique, and STEPS steps come close to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.RNNCell(1, UNITS)
        self.output = nn.Linear(UNITS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1) -> (N, 1), differentiable through every step."""
        state = self._start(x)
        for _ in range(STEPS):
            state = self.cell(x, state)
        return self.output(state)

    @property
    def largest_singular_value(self) -> Tensor:
        """Of the recurrent weight, differentiable."""
        return torch.linalg.matrix_norm(self.cell.weight_hh, 2)

    @torch.no_grad()
    def states(self, x: Tensor, steps: int = STEPS) -> Tensor:
        """(steps, N, UNITS): the state after each step of a plain fixed-point solve. x: (N, 1)."""
        # No sample may stop before the others: every step is looked at.
        solver = FixedPoint(max_steps=steps, tolerance=torch.finfo(x.dtype).tiny)
        solution = solver.solve(self._map(x), (self._start(x),), states_at=range(1, steps + 1))
        return torch.stack([state for (state,) in solution.states])

    def _map(self, x: Tensor) -> Map[tuple[Tensor]]:
        return lambda state: (self.cell(x, state[0]),)

    def _start(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), UNITS)
