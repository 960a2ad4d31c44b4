"""Who stops when and why, what the others then do, and what is reported."""

from dataclasses import replace

import pytest
import torch
from support.maps import F64, Linear, residual, scaling, symmetric

from flowbench.deq import Anderson, Broyden, Damped, FixedPoint, Map, SolverStats, State, StopReason

SOLVERS = [FixedPoint(), Damped(), Anderson(), Anderson(returned="iterate"), Broyden()]
on_all = pytest.mark.parametrize(
    "solver",
    [replace(solver, max_steps=200, tolerance=1e-4) for solver in SOLVERS],
    ids=lambda solver: repr(solver)[:12],
)


@on_all
def test_a_frozen_sample_keeps_its_state(solver):
    f = symmetric(0.3, 0.97)
    stopped = solver.solve(f, f.start).stats.steps.tolist()
    assert stopped[0] + 3 < stopped[1]
    solution = solver.solve(f, f.start, [stopped[0]])
    assert torch.equal(solution.states[0][0][0], solution.z[0][0])
    assert not torch.equal(solution.states[0][0][1], solution.z[0][1])


@pytest.mark.parametrize("converged", ["freeze", "drop"])
@on_all
def test_a_sample_ends_as_if_it_were_alone(solver, converged):
    f = symmetric(0.97, 0.3, 0.8)
    together = replace(solver, converged=converged).solve(f, f.start)
    for sample in range(3):
        alone = solver.solve(f.alone(sample), f.alone(sample).start)
        torch.testing.assert_close(together.z[0][sample, None], alone.z[0])
        for name in ("steps", "best_step", "reason"):
            assert getattr(together.stats, name)[sample] == getattr(alone.stats, name)[0]
        count = alone.stats.abs_trace.shape[1]
        for trace in ("abs_trace", "rel_trace"):
            ours = getattr(together.stats, trace)[sample]
            torch.testing.assert_close(ours[None, :count], getattr(alone.stats, trace), rtol=1e-5, atol=1e-9)
            assert ours[count:].isnan().all()


@on_all
def test_dropped_samples_are_not_computed(solver):
    f = symmetric(0.97, 0.3, 0.8)
    stats = replace(solver, converged="drop").solve(f, f.start).stats
    before = 1 if isinstance(solver, Broyden) else 0  # one evaluation before the first step
    running = [(stats.steps > step).sum().item() for step in range(stats.steps.max())]
    assert f.evaluated == [3] * before + running
    assert f.evaluated[-1] == 1


def test_states_on_the_way_hold_dropped_samples_too():
    f = symmetric(0.97, 0.3, 0.8)
    solver = Anderson(max_steps=60)
    frozen, dropped = (replace(solver, converged=how).solve(f, f.start, [2, 12, 25]) for how in ("freeze", "drop"))
    for ours, theirs in zip(dropped.states, frozen.states, strict=True):
        torch.testing.assert_close(ours[0], theirs[0])


@on_all
def test_dropping_needs_a_map_that_can_select(solver):
    f = symmetric(0.97, 0.3)
    with pytest.raises(ValueError, match=r"select\(index\)"):
        replace(solver, converged="drop").solve(lambda state: f(state), f.start)


@on_all
def test_with_continue_all_stop_at_the_step_where_all_are_within_the_tolerance(solver):
    f = symmetric(0.3, 0.9)
    stats = replace(solver, converged="continue").solve(f, f.start).stats
    assert stats.steps[0] == stats.steps[1] == stats.abs_trace.shape[1]
    assert stats.reason.tolist() == [StopReason.CONVERGED] * 2
    within = stats.abs_trace < solver.tolerance
    assert within[:, -1].all()
    assert within[0, :-1].any()
    assert not within[:, :-1].all(dim=0).any()


@on_all
def test_with_continue_a_diverged_sample_does_not_hold_up_the_others(solver):
    f = spoiled(symmetric(0.5, 0.5), from_call=3, value=torch.nan)
    stats = replace(solver, converged="continue").solve(f, f.start).stats
    assert stats.reason.tolist() == [StopReason.CONVERGED, StopReason.DIVERGED]
    assert stats.steps[0] < solver.max_steps


def halves(state: State) -> State:
    """The first part converges by half a step, the second by 0.9."""
    return state[0] / 2 + 1, state[1] * 0.9 + 100


START = torch.zeros(1, 2, dtype=F64), torch.zeros(1, 3, dtype=F64)


@pytest.mark.parametrize(("component", "steps"), [(0, 12), (1, 116), (None, 116)])
def test_the_component_that_decides(component, steps):
    """||f(z) - z|| is sqrt(2) 0.5^(n-1) and sqrt(3) 100 0.9^(n-1) at step n."""
    stats = FixedPoint(max_steps=500, component=component).solve(halves, START).stats
    assert stats.steps.item() == steps
    if component == 0:
        expected = 2**0.5 * 0.5 ** torch.arange(steps, dtype=F64)
        torch.testing.assert_close(stats.abs_trace[0], expected)


def test_a_component_that_does_not_decide_can_still_diverge():
    solution = FixedPoint(component=0).solve(lambda state: (state[0] / 2 + 1, state[1] * torch.nan), START)
    assert solution.stats.reason.item() == StopReason.DIVERGED
    assert all(torch.equal(part, start) for part, start in zip(solution.z, START, strict=True))


def test_relative_mode():
    """z_n = 1000 (1 - 0.5^n): the relative residual at step n is 0.5^n / (1 - 0.5^n), under 1e-3 at n = 10."""
    f = scaling(0.5, offset=500.0)
    relative = FixedPoint(mode="relative").solve(f, f.start).stats
    share = 0.5 ** torch.arange(1, 11, dtype=F64)
    torch.testing.assert_close(relative.rel_trace[0], share / (1 - share), rtol=1e-7, atol=0)
    torch.testing.assert_close(relative.abs_trace[0], 1000 * share)
    assert FixedPoint().solve(f, f.start).stats.steps.item() == 20


@pytest.mark.parametrize("solver", [Anderson(returned="iterate"), Broyden()], ids=["anderson", "broyden"])
@pytest.mark.parametrize("max_steps", [3, 8, 200])
def test_residual_is_that_of_an_iterate_returned(solver, max_steps):
    f = symmetric(0.8, 1.3)
    solution = replace(solver, max_steps=max_steps).solve(f, f.start)
    torch.testing.assert_close(solution.stats.abs_residual, residual(f, solution.z), rtol=1e-6, atol=1e-12)
    sizes = f(solution.z)[0].norm(dim=1)
    torch.testing.assert_close(solution.stats.rel_residual, solution.stats.abs_residual / sizes, rtol=1e-6, atol=1e-12)


def test_residual_is_that_of_the_state_before_an_image_returned():
    f = symmetric(0.8, 0.5)
    solution = FixedPoint(max_steps=6, tolerance=1e-9).solve(f, f.start, [5])
    torch.testing.assert_close(solution.stats.abs_residual, residual(f, solution.states[0]))


def test_residual_of_damped_iteration_is_the_damped_change():
    f = symmetric(0.8, 0.5)
    solution = Damped(damping=0.7, max_steps=6, tolerance=1e-9).solve(f, f.start, [5])
    torch.testing.assert_close(solution.stats.abs_residual, 0.7 * residual(f, solution.states[0]))


@on_all
def test_residuals_kept_are_those_of_the_best_step(solver):
    f = symmetric(0.5, 1.2, 0.9)
    stats = replace(solver, max_steps=15, tolerance=1e-6).solve(f, f.start).stats
    rows = torch.arange(3)
    for kept, trace in ((stats.abs_residual, stats.abs_trace), (stats.rel_residual, stats.rel_trace)):
        assert torch.equal(kept, trace[rows, stats.best_step - 1])
    if isinstance(solver, Broyden):
        assert torch.equal(stats.abs_residual, stats.abs_trace.nan_to_num(torch.inf).amin(dim=1))


def test_the_lowest_residual_is_returned_and_not_the_last():
    f = symmetric(1.5)
    solution = Anderson(max_steps=30, ridge=10.0, returned="iterate").solve(f, f.start)
    assert solution.stats.best_step < solution.stats.steps
    assert solution.stats.abs_residual < solution.stats.abs_trace[0, -1]


def test_step_limit_and_convergence_are_told_apart():
    f = symmetric(0.99, 0.2)
    stats = FixedPoint(max_steps=20).solve(f, f.start).stats
    assert stats.reason.tolist() == [StopReason.STEP_LIMIT, StopReason.CONVERGED]
    assert stats.steps[0] == 20
    assert stats.abs_trace.shape == (2, 20)
    assert (stats.abs_trace[1].isfinite() == (torch.arange(20) < stats.steps[1])).all()


@pytest.mark.parametrize("converged", ["freeze", "drop", "continue"])
def test_broyden_calls_a_residual_that_stays_near_the_tolerance_stalled(converged):
    """z -> z + c has the residual c for ever: 2 tolerances are close, 4 are not. c is exact in binary."""
    near, far = 2.0**-9, 2.0**-8
    f = scaling(1.0, 1.0, offset=(near, far))
    stats = Broyden(tolerance=near / 2, converged=converged).solve(f, f.start).stats
    assert stats.reason.tolist() == [StopReason.STALLED, StopReason.STEP_LIMIT]
    assert stats.steps.tolist() == [30, 40]


class Spoiled:
    """From some call on, the last sample's image is `value`."""

    def __init__(self, f: Linear, from_call: int, value: float) -> None:
        self.f, self.from_call, self.value, self.calls = f, from_call, value, 0
        self.start, self.alone = f.start, f.alone

    def __call__(self, state: State) -> State:
        self.calls += 1
        (image,) = self.f(state)
        if self.calls < self.from_call:
            return (image,)
        return (torch.cat([image[:-1], torch.full_like(image[-1:], self.value)]),)


def spoiled(f: Linear, from_call: int, value: float) -> Spoiled:
    return Spoiled(f, from_call, value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@on_all
def test_a_sample_that_diverges_keeps_its_last_finite_state_and_spoils_no_other(solver, value):
    f = spoiled(symmetric(0.9, 0.95), from_call=6, value=value)
    solution = solver.solve(f, f.start)
    assert solution.stats.reason.tolist() == [StopReason.CONVERGED, StopReason.DIVERGED]
    finite = 5 - (1 if isinstance(solver, Broyden) else 0)
    assert solution.stats.steps[1] == finite + 1
    for sample, steps in ((0, solver.max_steps), (1, finite)):
        alone = solver.with_steps(steps).solve(f.alone(sample), f.alone(sample).start)
        torch.testing.assert_close(solution.z[0][sample, None], alone.z[0])
    assert solution.z[0].isfinite().all()
    assert solution.stats.abs_residual.isfinite().all()


@on_all
def test_a_map_that_gives_nan_at_once_returns_the_start(solver):
    start = torch.ones(2, 3, dtype=F64)
    solution = solver.solve(lambda state: (state[0] * torch.nan,), (start,))
    assert torch.equal(solution.z[0], start)
    assert solution.stats.reason.tolist() == [StopReason.DIVERGED] * 2
    assert solution.stats.steps.tolist() == [1, 1]
    assert solution.stats.best_step.tolist() == [0, 0]
    assert solution.stats.abs_residual.isinf().all()


def test_the_last_finite_state_of_a_map_that_leaves_its_domain():
    """z -> 2 z + 1 gives 1, 3, 7, 15, and nothing beyond 10."""

    def f(state: State) -> State:
        return (torch.where(state[0] > 10, torch.nan, 2 * state[0] + 1),)

    solution = FixedPoint().solve(f, (torch.zeros(1, 1),))
    assert solution.z[0].item() == 15
    assert solution.stats.steps.item() == 5
    assert solution.stats.best_step.item() == 4
    assert solution.stats.abs_residual.item() == 8


def test_stats_as_they_are_logged():
    f: Map = symmetric(0.5)
    stats = FixedPoint().solve(f, f.start).stats
    assert isinstance(stats, SolverStats)
    assert list(stats.as_dict()) == list(SolverStats.__dataclass_fields__)
