import itertools
import re
from dataclasses import replace

import pytest
import torch
from support.maps import F64, Linear, residual, scaling, symmetric
from torch import Tensor

from flowbench.deq import (
    DEQ,
    Anderson,
    Broyden,
    Damped,
    FixedPoint,
    IndexedCorrection,
    JacobianPenalty,
    PhantomGradient,
    SegmentedCorrection,
    State,
    StopReason,
    spectral_radius,
)
from flowbench.deq.dropout import dropout_mask

SOLVERS = [
    FixedPoint(),
    Damped(),
    Damped(damping=0.5),
    Anderson(),
    Anderson(ridge=1e-20, memory=3),
    Anderson(mixing=0.7),
    Anderson(returned="iterate"),
    Broyden(),
    Broyden(memory=1),
    Broyden(memory=3),
    Broyden(line_search=True),
]
on_all = pytest.mark.parametrize(
    "solver", [replace(solver, max_steps=800, tolerance=1e-8) for solver in SOLVERS], ids=str
)


@on_all
def test_linear_map(solver):
    f = symmetric(0.8, 0.4, 0.9)
    solution = solver.solve(f, f.start)
    assert solution.stats.reason.tolist() == [StopReason.CONVERGED] * 3
    torch.testing.assert_close(solution.z[0], f.fixed_point, rtol=0, atol=1e-6)


@on_all
def test_nonlinear_map(solver):
    """The offset is made for the fixed point."""
    matrix, known = torch.randn(6, 6, dtype=F64) / 6, torch.randn(2, 6, dtype=F64).tanh()
    offset = known.atanh() - known @ matrix.T
    (z,) = solver.solve(lambda state: (torch.tanh(state[0] @ matrix.T + offset),), (torch.zeros_like(known),)).z
    torch.testing.assert_close(z, known, rtol=0, atol=1e-7)


@on_all
def test_state_of_several_parts(solver):
    flat = symmetric(0.7, 0.5, width=50)
    shapes = (3, 4, 4), (2,)

    def parts(z: Tensor) -> State:
        return tuple(part.reshape(-1, *shape) for part, shape in zip(z.split([48, 2], dim=1), shapes, strict=True))

    def f(state: State) -> State:
        return parts(flat((torch.cat([part.flatten(1) for part in state], dim=1),))[0])

    solution = solver.solve(f, parts(flat.start[0]))
    for found, known in zip(solution.z, parts(flat.fixed_point), strict=True):
        torch.testing.assert_close(found, known, rtol=0, atol=1e-7)


@on_all
def test_dtype_of_each_part_is_kept(solver):
    def f(state: State) -> State:
        return state[0] / 2 + 1, (state[1] / 4 + 3).to(state[1].dtype)

    solution = replace(solver, tolerance=1e-2).solve(f, (torch.zeros(1, 2), torch.zeros(1, 3, dtype=torch.bfloat16)))
    assert [part.dtype for part in solution.z] == [torch.float32, torch.bfloat16]
    assert solution.stats.abs_residual.dtype == torch.float32
    torch.testing.assert_close(solution.z[0], torch.full((1, 2), 2.0), rtol=0, atol=0.1)
    torch.testing.assert_close(solution.z[1].float(), torch.full((1, 3), 4.0), rtol=0, atol=0.1)


def steps(solver, f: Linear) -> int:
    stats = replace(solver, max_steps=2000, tolerance=1e-6).solve(f, f.start).stats
    assert stats.reason.tolist() == [StopReason.CONVERGED]
    return stats.steps.item()


def test_a_slow_map_takes_the_quasi_newton_solvers_far_fewer_steps():
    f = symmetric(0.99)
    plain = steps(FixedPoint(), f)
    assert plain > 500
    assert steps(Anderson(ridge=1e-16), f) < plain / 5
    assert steps(Broyden(), f) < plain / 20


def test_broyden_finds_a_fixed_point_that_repels_the_plain_iteration():
    f = symmetric(3.0)
    plain = FixedPoint(max_steps=60).solve(f, f.start)
    assert plain.stats.abs_residual > 1e10
    solution = Broyden(tolerance=1e-9).solve(f, f.start)
    assert solution.stats.reason.tolist() == [StopReason.CONVERGED]
    torch.testing.assert_close(solution.z[0], f.fixed_point, rtol=0, atol=1e-6)


def test_broyden_ends_on_a_linear_map_within_twice_its_unknowns():
    """Gay (1979): Broyden's method is exact on a linear system after at most 2 n steps."""
    f = symmetric(0.9, width=4)
    assert steps(Broyden(), f) <= 8


def test_anderson_ends_on_a_linear_map_once_it_remembers_more_steps_than_there_are_unknowns():
    """Walker and Ni (2011): next to no ridge makes it GMRES, which is exact after n steps, whatever the spectrum."""
    f = symmetric(3.0, width=4)
    trace = Anderson(memory=6, ridge=1e-12, max_steps=6, tolerance=1e-12).solve(f, f.start).stats.abs_trace[0]
    assert trace[4] > 1e-3
    assert trace[5] < 1e-7


@pytest.mark.parametrize("radius", [0.8, 0.95, 0.98])
@pytest.mark.parametrize("memory", [2, 3, 6, 10])
def test_broyden_converges_with_a_short_memory(memory, radius):
    f = symmetric(radius, width=30)
    assert steps(Broyden(memory=memory), f) < steps(FixedPoint(), f)


def test_a_memory_that_no_update_leaves_changes_nothing():
    f = symmetric(0.9)
    unlimited, limited = (Broyden(memory=memory, max_steps=5).solve(f, f.start) for memory in (None, 5))
    assert torch.equal(unlimited.z[0], limited.z[0])
    short = Broyden(memory=2, max_steps=5).solve(f, f.start)
    assert not torch.equal(unlimited.z[0], short.z[0])


def visited_by(solver, f: Linear) -> list[Tensor]:
    """The points of the first sample at which f is evaluated."""
    visited = []

    def watched(state: State) -> State:
        visited.append(state[0][0])
        return f(state)

    solver.solve(watched, f.start)
    return visited


def test_broyden_starts_anew_with_the_newest_secant_once_its_memory_is_full():
    """The update of -I by a step s and a change y of g gives the direction g - (s + y) (s . g) / (s . y)."""
    f = symmetric(0.9)
    z = visited_by(Broyden(memory=2, max_steps=4, tolerance=1e-12), f)
    g = [f((point[None],))[0][0] - point for point in z]
    step, change = z[3] - z[2], g[3] - g[2]
    one_update = g[3] - (step + change) * (step @ g[3]) / (step @ change)
    torch.testing.assert_close(z[4], z[3] + one_update)


def test_line_search_never_lets_the_residual_grow():
    """For a step of length t, ||g||^2 falls by 2e-4 t of itself at least."""

    def f(state: State) -> State:
        return (-2 * torch.sinh(state[0]),)

    start = (torch.tensor([[2.0, -1.5]], dtype=F64),)
    searched = Broyden(line_search=True).solve(f, start)
    trace = torch.cat([residual(f, start), searched.stats.abs_trace[0]])
    assert (trace.diff() < 0).all()
    assert searched.stats.reason.tolist() == [StopReason.CONVERGED]
    torch.testing.assert_close(searched.z[0], torch.zeros(1, 2, dtype=F64), rtol=0, atol=1e-3)
    unsearched = Broyden().solve(f, start).stats.abs_trace[0]
    assert unsearched[0] > residual(f, start)


def test_anderson_with_a_memory_of_one_is_the_plain_iteration():
    f = symmetric(0.8, 0.9)
    numbers = range(1, 9)
    plain, anderson = (s.solve(f, f.start, numbers) for s in (FixedPoint(max_steps=8), Anderson(memory=1, max_steps=8)))
    for ours, theirs in zip(anderson.states, plain.states, strict=True):
        torch.testing.assert_close(ours[0], theirs[0])


def test_anderson_with_a_memory_of_one_is_damped_by_its_mixing():
    """After the plain step that all Anderson iterations begin with."""
    f = symmetric(0.9)
    _, *z = visited_by(Anderson(memory=1, mixing=0.6, max_steps=8, tolerance=1e-12), f)
    torch.testing.assert_close(z[0], f(f.start)[0][0])
    for before, after in itertools.pairwise(z):
        torch.testing.assert_close(after, 0.4 * before + 0.6 * f((before[None],))[0][0])


def test_damped_iteration_without_damping_is_the_plain_one():
    f = symmetric(0.8)
    plain, damped = (solver.solve(f, f.start) for solver in (FixedPoint(), Damped(damping=1)))
    torch.testing.assert_close(damped.z[0], plain.z[0])
    assert damped.stats.steps.equal(plain.stats.steps)


def test_damping_tames_an_oscillation():
    f = scaling(-1.5)
    assert FixedPoint(max_steps=60).solve(f, f.start).stats.abs_residual > 1e9
    solution = Damped(damping=0.5, max_steps=60).solve(f, f.start)
    torch.testing.assert_close(solution.z[0], f.fixed_point, rtol=0, atol=2e-3)


@pytest.mark.parametrize("memory", [1, 3, 6])
def test_states_of_anderson_are_not_overwritten_by_later_steps(memory):
    """The second iterate is f(z0), whatever comes after."""
    f = scaling(1.5, -2.0)
    solution = Anderson(memory=memory, max_steps=12, returned="iterate").solve(f, f.start, [1, 2])
    torch.testing.assert_close(solution.states[0][0], f.start[0])
    torch.testing.assert_close(solution.states[1][0], f(f.start)[0])
    torch.testing.assert_close(residual(f, solution.z), solution.stats.abs_residual)


def test_a_singular_anderson_system_gives_way_to_the_plain_step():
    """A constant residual makes all entries of the Gram matrix equal. The other sample is mixed as if it were alone."""
    mixed = symmetric(0.9)
    f = Linear(torch.cat([torch.eye(6, dtype=F64)[None], mixed.matrix]), torch.cat([mixed.offset.sign(), mixed.offset]))
    solver = Anderson(ridge=0, max_steps=7, tolerance=1e-12)
    for number, z in enumerate(visited_by(solver, f)):
        torch.testing.assert_close(z, number * f.offset[0])
    solution = solver.solve(f, f.start)
    assert solution.stats.reason[0] == StopReason.STEP_LIMIT
    alone = solver.solve(mixed, mixed.start)
    torch.testing.assert_close(solution.z[0][1:], alone.z[0])
    plain = FixedPoint(max_steps=7, tolerance=1e-12).solve(mixed, mixed.start)
    assert alone.stats.abs_residual < plain.stats.abs_residual / 5


def test_the_plain_iteration_hands_on_the_tensors_of_the_map_itself(monkeypatch):
    made = []

    def f(state: State) -> State:
        made.append((state[0] / 2 + 1, state[1] / 3 + 1))
        return made[-1]

    def refuse(*_, **__):
        raise AssertionError("nothing is to be packed")

    monkeypatch.setattr(torch, "cat", refuse)
    solution = FixedPoint(max_steps=6).solve(f, (torch.zeros(2, 3, 4, 4), torch.zeros(2, 2)), [3])
    assert len(made) == 6
    assert all(part is own for part, own in zip(solution.z, made[-1], strict=True))
    assert all(part is own for part, own in zip(solution.states[0], made[2], strict=True))


@pytest.mark.parametrize(
    ("solver", "evaluations"),
    [(FixedPoint(), 7), (Damped(), 7), (Anderson(), 7), (Broyden(), 8)],
    ids=["fixed_point", "damped", "anderson", "broyden"],
)
def test_evaluations_of_the_map(solver, evaluations):
    f = symmetric(0.99)
    replace(solver, max_steps=7).solve(f, f.start)
    assert len(f.evaluated) == evaluations


@on_all
def test_the_start_is_left_as_it_was(solver):
    f = symmetric(0.9)
    start = (torch.ones(1, 6, dtype=F64),)
    solver.solve(f, start)
    assert (start[0] == 1).all()


@pytest.mark.parametrize(
    ("make", "values", "message"),
    [
        (FixedPoint, {"max_steps": 0}, "max_steps=0"),
        (Anderson, {"max_steps": -3}, "max_steps=-3"),
        (Broyden, {"tolerance": -1e-3}, "tolerance=-0.001"),
        (FixedPoint, {"tolerance": float("nan")}, "tolerance=nan"),
        (FixedPoint, {"mode": "abs"}, "mode='abs': choose one of absolute, relative"),
        (FixedPoint, {"converged": "stop"}, "converged='stop': choose one of freeze, drop, continue"),
        (Anderson, {"returned": "best"}, "returned='best': choose one of image, iterate"),
        (Anderson, {"memory": 0}, "memory=0"),
        (Broyden, {"memory": 0}, "memory=0"),
        (Damped, {"damping": 0}, "damping=0"),
        (Damped, {"damping": 1.1}, "damping=1.1"),
        (PhantomGradient, {"steps": 0}, "steps=0"),
        (PhantomGradient, {"tau": 0}, "tau=0"),
        (PhantomGradient, {"tau": 1.5}, "tau=1.5"),
        (SegmentedCorrection, {"count": 0}, "count=0"),
        (IndexedCorrection, {"count": 0}, "count=0"),
        (SegmentedCorrection, {"count": 3, "phantom": [PhantomGradient()]}, "phantom has 1 gradients: 2 are wanted"),
        (DEQ, {"eval_steps": 0}, "eval_steps=0"),
        (DEQ, {"eval_factor": 0.0}, "eval_factor=0.0"),
        (JacobianPenalty, {"weight": -1}, "weight=-1"),
        (JacobianPenalty, {"weight": 1, "samples": 0}, "samples=0"),
        (dropout_mask, {"shape": (1,), "share": 1.0, "like": torch.zeros(1)}, "dropout=1.0"),
        (spectral_radius, {"f": scaling(0.5), "z": (torch.zeros(1, 1),), "steps": 0}, "steps=0"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(make, values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**values)


@pytest.mark.parametrize(
    "corrections", [SegmentedCorrection(count=5), IndexedCorrection(count=5)], ids=["sliced", "indexing"]
)
def test_more_corrections_than_steps(corrections):
    with pytest.raises(ValueError, match="5 corrections need at least as many steps: max_steps=4"):
        DEQ(solver=FixedPoint(max_steps=4), corrections=corrections)
