"""Which states are supervised. z -> z + 1 counts: a state is the number of evaluations behind it."""

import pytest
import torch
from support.maps import F64

from flowbench.deq import (
    DEQ,
    Anderson,
    Broyden,
    Corrections,
    FixedPoint,
    ImplicitGradient,
    IndexedCorrection,
    PhantomGradient,
    SegmentedCorrection,
    State,
    StopReason,
    TrainingStates,
)

ZERO = (torch.zeros(1, 1),)


def count(state: State) -> State:
    return (state[0] + 1,)


def count_to_3(state: State) -> State:
    return ((state[0] + 1).clamp(max=3),)


def train(corrections: Corrections, f=count, max_steps: int = 6, **options) -> TrainingStates:
    return DEQ(solver=FixedPoint(max_steps=max_steps), corrections=corrections, **options).forward_train(f, ZERO)


def values(training: TrainingStates) -> list[float]:
    return [state[0].item() for state in training.states]


@pytest.mark.parametrize(
    ("corrections", "expected"),
    [
        (SegmentedCorrection(), [7]),
        (IndexedCorrection(), [7]),
        (SegmentedCorrection(count=3), [3, 6, 9]),
        (IndexedCorrection(count=3), [3, 5, 7]),
        (SegmentedCorrection(count=6), [2, 4, 6, 8, 10, 12]),
        (IndexedCorrection(count=6), [2, 3, 4, 5, 6, 7]),
        (SegmentedCorrection(count=3, start="solved"), [3, 5, 7]),
    ],
    ids=str,
)
def test_solver_steps_are_shared_out_and_each_state_takes_a_phantom_step(corrections, expected):
    training = train(corrections)
    assert values(training) == expected


@pytest.mark.parametrize(
    ("corrections", "expected"), [(SegmentedCorrection(count=3), [3, 6, 9]), (IndexedCorrection(count=3), [3, 5, 7])]
)
def test_steps_that_cannot_be_shared_out_are_left_over(corrections, expected):
    assert values(train(corrections, max_steps=8)) == expected


def test_phantom_steps_of_all_corrections():
    assert values(train(SegmentedCorrection(count=2), gradient=PhantomGradient(steps=4))) == [7, 14]
    assert values(train(IndexedCorrection(count=2), gradient=PhantomGradient(steps=4))) == [7, 10]


@pytest.mark.parametrize("solver", [FixedPoint, Anderson, Broyden])
@pytest.mark.parametrize("start", ["supervised", "solved"])
def test_slices_go_on_from_the_supervised_or_the_solved_state(solver, start):
    """Written out: three solves of twelve steps together, each with three phantom steps behind it."""
    weight, x = torch.randn(4, 4, dtype=F64) / 4, torch.randn(2, 4, dtype=F64)

    def f(state: State) -> State:
        return (torch.tanh(state[0] @ weight + x),)

    deq = DEQ(
        solver=solver(max_steps=12, tolerance=1e-12),
        gradient=PhantomGradient(steps=3),
        corrections=SegmentedCorrection(count=3, start=start),
    )
    z = torch.zeros(2, 4, dtype=F64)
    for (state,) in deq.forward_train(f, (z,)).states:
        (solved,) = solver(max_steps=4, tolerance=1e-12).solve(f, (z,)).z
        supervised = f(f(f((solved,))))[0]
        assert torch.equal(state, supervised)
        assert not torch.equal(solved, supervised)
        z = supervised if start == "supervised" else solved


def test_a_start_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="start='phantom': choose one of supervised, solved"):
        SegmentedCorrection(start="phantom")


def test_phantom_steps_of_all_but_the_last():
    corrections = {"count": 3, "phantom": PhantomGradient(steps=2)}
    assert values(train(SegmentedCorrection(**corrections), gradient=PhantomGradient(steps=5))) == [4, 8, 15]
    assert values(train(IndexedCorrection(**corrections), gradient=PhantomGradient(steps=5))) == [4, 6, 11]


def test_phantom_steps_of_each_correction():
    corrections = {"count": 3, "phantom": [PhantomGradient(steps=2), PhantomGradient(steps=10)]}
    assert values(train(SegmentedCorrection(**corrections))) == [4, 16, 19]
    assert values(train(IndexedCorrection(**corrections))) == [4, 14, 7]


def test_supervised_phantom_steps_belong_to_their_correction():
    training = train(SegmentedCorrection(count=2), gradient=PhantomGradient(steps=2, supervise_all=True))
    assert values(training) == [4, 5, 9, 10]


def test_a_solve_that_ends_early_gives_its_last_state_again():
    training = train(IndexedCorrection(count=6), count_to_3)
    assert values(training) == [2, 3, 3, 3, 3, 3]
    assert [stats.reason.item() for stats in training.stats] == [StopReason.CONVERGED]
    assert training.stats[0].steps.item() == 4


def test_slices_after_convergence_end_at_their_first_step():
    training = train(SegmentedCorrection(count=3), count_to_3)
    assert values(training) == [3, 3, 3]
    assert [stats.steps.item() for stats in training.stats] == [2, 1, 1]


def test_stats_are_given_once_a_solve():
    assert len(train(SegmentedCorrection(count=3)).stats) == 3
    assert len(train(IndexedCorrection(count=3)).stats) == 1


@pytest.mark.parametrize("solver", [FixedPoint, Anderson, Broyden])
def test_indexed_states_are_the_best_so_far(solver):
    weight = torch.randn(4, 4, dtype=F64) / 4

    def f(state: State) -> State:
        return (torch.tanh(state[0] @ weight + 1),)

    start = (torch.zeros(2, 4, dtype=F64),)
    made = DEQ(solver=solver(max_steps=9, tolerance=1e-12), corrections=IndexedCorrection(count=3)).forward_train(
        f, start
    )
    for steps, state in zip((3, 6, 9), made.states, strict=True):
        best = solver(max_steps=steps, tolerance=1e-12).solve(f, start)
        torch.testing.assert_close(state[0], f(best.z)[0])


@pytest.mark.parametrize(
    "corrections", [SegmentedCorrection(count=2), IndexedCorrection(count=2)], ids=["sliced", "indexing"]
)
def test_only_the_last_correction_is_implicit(corrections):
    """z -> z / 2 + x: the one-step gradient by x is 1, the implicit one 2. No gradient joins the corrections."""
    x = torch.tensor([[1.0]], dtype=F64, requires_grad=True)

    def f(state: State) -> State:
        return (state[0] / 2 + x,)

    deq = DEQ(solver=FixedPoint(max_steps=8), gradient=ImplicitGradient(), corrections=corrections)
    first, last = deq.forward_train(f, (torch.zeros(1, 1, dtype=F64),)).states
    assert torch.autograd.grad(first[0], x)[0].item() == 1
    assert torch.autograd.grad(last[0], x)[0].item() == pytest.approx(2)


@pytest.mark.parametrize(
    "corrections", [SegmentedCorrection(count=3), IndexedCorrection(count=3)], ids=["sliced", "indexing"]
)
def test_the_solver_leaves_no_graph(corrections):
    """Of nine steps only the phantom ones carry gradient: 1 for each state."""
    x = torch.zeros(1, 1, requires_grad=True)
    deq = DEQ(solver=FixedPoint(max_steps=9), corrections=corrections)
    for (state,) in deq.forward_train(lambda state: (state[0] + 1 + x,), ZERO).states:
        assert torch.autograd.grad(state, x)[0].item() == 1
