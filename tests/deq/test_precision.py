"""States of any floating dtype, and mixed precision around a solve."""

import pytest
import torch

from flowbench.deq import Anderson, Broyden, FixedPoint, ImplicitGradient

SOLVERS = [FixedPoint(max_steps=60), Anderson(max_steps=60), Broyden(max_steps=60)]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_mixed_precision_leaves_the_solvers_own_arithmetic_exact(solver):
    """Large absolute coordinates, as those of a picture: bfloat16 knows only every second whole number up there."""
    grid = torch.arange(400.0)[None]

    def f(state):
        return (0.5 * state[0] + 0.5 * (grid + 0.3),)

    with torch.autocast("cpu", torch.bfloat16):
        solution = solver.solve(f, (grid,))
    assert solution.stats.reason.item() == 1
    torch.testing.assert_close(solution.z[0], grid + 0.3, rtol=0, atol=2e-3)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
@pytest.mark.parametrize("dtypes", [(torch.float32, torch.float64), (torch.bfloat16, torch.float32)])
def test_parts_keep_their_own_dtype(solver, dtypes):
    start = tuple(torch.zeros(2, 3, dtype=dtype) for dtype in dtypes)
    solution = solver.solve(lambda state: tuple(0.5 * part + 1 for part in state), start)
    for part, dtype in zip(solution.z, dtypes, strict=True):
        assert part.dtype == dtype
        torch.testing.assert_close(part, torch.full_like(part, 2), rtol=0, atol=0.02)


def test_a_backward_solve_that_diverges_leaves_the_one_step_gradient():
    weight = torch.tensor(1.0, requires_grad=True)
    slope = torch.tensor([[0.5], [1e30]])

    def f(state):
        return (slope * state[0] + weight,)

    solver = FixedPoint(max_steps=40, tolerance=1e-6, mode="relative")
    (state,) = ImplicitGradient(solver=solver).attach(f, (torch.zeros(2, 1),))
    with pytest.warns(UserWarning, match="diverged on 1 of 2 samples"):
        (gradient,) = torch.autograd.grad(state[0].sum(), weight)
    assert gradient.item() == pytest.approx(2 + 1, rel=1e-4)
