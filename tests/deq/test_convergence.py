"""Dimensions whose rates are known come under a tolerance at known steps."""

import math

import pytest
import torch
from support.maps import F64, Linear, scaling, symmetric

from flowbench.deq import Damped, FixedPoint
from flowbench.deq.convergence import Convergence, solve_traced

STEPS = 40
RATES = (0.1, 0.5, 0.8, 0.97)


def diagonal(*rates):
    """One sample: z -> rate * z + 1 from 0, so that step s moves a dimension by rate^(s - 1)."""
    return Linear(torch.diag(torch.tensor(rates, dtype=F64))[None], torch.ones(1, len(rates), dtype=F64))


def traced(f, *tolerances, solver=FixedPoint, **settings):
    solver = solver(max_steps=STEPS, tolerance=1e-300, **settings)
    solution, (part,) = solve_traced(solver, f, f.start, tolerances)
    return solution, part


@pytest.mark.parametrize("tolerance", [0.2, 0.03, 2e-4])
def test_each_dimension_comes_under_a_tolerance_at_the_step_that_its_rate_says(tolerance):
    part = traced(diagonal(*RATES), 0.5, tolerance)[1]
    # rate^(s - 1) < tolerance
    expected = [math.floor(math.log(tolerance) / math.log(rate)) + 2 for rate in RATES]
    expected = [min(step, STEPS + 1) for step in expected]
    assert part.first_under(tolerance).tolist() == [expected]
    assert part.under_from(tolerance).tolist() == [expected]
    assert expected[0] < expected[1] < expected[2] <= expected[3]


def test_damping_is_a_rate_of_its_own():
    part = traced(diagonal(*RATES), 0.01, solver=Damped, damping=0.9)[1]
    # A step moves by 0.9 (1 - 0.9 (1 - rate))^(s - 1).
    moved = [[0.9 * (0.1 + 0.9 * rate) ** step for step in range(STEPS)] for rate in RATES]
    expected = [next((s for s, one in enumerate(each, start=1) if one < 0.01), STEPS + 1) for each in moved]
    assert part.first_under(0.01).tolist() == [expected]


def test_a_dimension_that_moves_on_has_a_first_step_but_stays_under_only_later():
    part = Convergence(torch.zeros(1, 3), (0.1,))
    for state in ([1.0, 1.0, 0.0], [1.01, 2.0, 0.0], [1.5, 2.01, 0.0], [1.51, 3.0, 0.0]):
        part.record(torch.tensor([state]))
    assert part.first_under(0.1).tolist() == [[2, 3, 1]]
    assert part.under_from(0.1).tolist() == [[4, 5, 1]]


def test_a_change_of_exactly_the_tolerance_is_not_under_it_and_nor_is_one_that_is_no_number():
    part = Convergence(torch.zeros(1, 3), (0.5,))
    part.record(torch.tensor([[0.5, math.nan, 0.25]]))
    assert part.first_under(0.5).tolist() == part.under_from(0.5).tolist() == [[2, 2, 1]]


def test_energy_is_that_of_the_geometric_series():
    part = traced(scaling(0.5, 0.8), 0.1)[1]
    squares = torch.tensor([0.5, 0.8], dtype=F64) ** (2 * torch.arange(STEPS, dtype=F64)[:, None])
    torch.testing.assert_close(part.energy[..., 0], squares)
    torch.testing.assert_close(part.changes, squares.sqrt())
    torch.testing.assert_close(part.cumulative_energy, squares.cumsum(0) / squares.sum(0))
    # The sum of r^(2s) up to S is (1 - r^(2S)) / (1 - r^2).
    assert part.cumulative_energy[3, 0].item() == pytest.approx(1 - 0.25**4, rel=1e-9)


def test_changes_are_the_residuals_of_the_solver():
    f = symmetric(0.9, 0.7)
    solution, part = traced(f, 0.1, solver=Damped)
    torch.testing.assert_close(part.changes.T, solution.stats.abs_trace)
    torch.testing.assert_close(part.relative_changes.T, solution.stats.rel_trace)
    alone = Damped(max_steps=STEPS, tolerance=1e-300).solve(f, f.start)
    assert torch.equal(solution.z[0], alone.z[0])


def test_channels_add_up_their_pixels():
    start = torch.zeros(2, 3, 4, 5)
    part = Convergence(start, (0.1,))
    states = [torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    for state in states:
        part.record(state)
    changes = torch.stack([b - a for a, b in zip([start, *states], states, strict=False)]).double()
    torch.testing.assert_close(part.energy, changes.square().sum(dim=(3, 4)))
    assert part.first_under(0.1).shape == start.shape


def test_what_never_moves_has_spent_its_energy():
    part = Convergence(torch.ones(1, 2), (0.1,))
    part.record(torch.ones(1, 2))
    assert part.cumulative_energy.tolist() == [[1.0]]


def test_tolerances_and_solvers_that_cannot_be_traced_are_refused():
    for tolerances in ([], [0.1, 0.0], [float("nan")]):
        with pytest.raises(ValueError, match="above 0"):
            Convergence(torch.zeros(1, 1), tolerances)
    with pytest.raises(ValueError, match='converged="drop"'):
        traced(scaling(0.5), 0.1, converged="drop")
