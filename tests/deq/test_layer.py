import pytest
import torch
from support.maps import F64, symmetric

from flowbench.deq import DEQ, FixedPoint, IndexedCorrection, JacobianPenalty, SegmentedCorrection, State

ZERO = (torch.zeros(1, 1),)


def count(state: State) -> State:
    return (state[0] + 1,)


@pytest.mark.parametrize(
    ("limits", "steps"),
    [({}, 15), ({"eval_factor": 1.0}, 10), ({"eval_factor": 0.37}, 3), ({"eval_steps": 4}, 4)],
    ids=str,
)
def test_step_limit_of_evaluation(limits, steps):
    deq = DEQ(solver=FixedPoint(max_steps=10), **limits)
    assert deq.eval_limit == steps
    assert deq.solve(count, ZERO).z[0].item() == steps
    assert deq.forward_train(count, ZERO).states[-1][0].item() == 11


def test_solve_gives_states_on_the_way():
    solution = DEQ().solve(count, ZERO, [2, 5])
    assert [state[0].item() for state in solution.states] == [2, 5]


def test_solve_carries_no_gradient():
    x = torch.ones(1, 1, requires_grad=True)
    assert not DEQ().solve(lambda state: (state[0] / 2 + x,), ZERO).z[0].requires_grad


def test_no_gradient_flows_into_the_start():
    x, start = torch.ones(1, 1, requires_grad=True), torch.zeros(1, 1, requires_grad=True)
    DEQ().forward_train(lambda state: (state[0] / 2 + x,), (start,)).states[-1][0].backward()
    assert start.grad is None
    assert x.grad.item() == 1


@pytest.mark.parametrize(
    "corrections", [SegmentedCorrection(count=2), IndexedCorrection(count=2)], ids=["sliced", "indexing"]
)
def test_regularisation_is_the_penalty_at_the_last_supervised_state(corrections):
    def f(state: State) -> State:
        return (state[0] ** 2 / 4 + 0.5,)

    start = (torch.zeros(1, 1, dtype=F64),)
    penalty = JacobianPenalty(weight=0.3)
    deq = DEQ(solver=FixedPoint(max_steps=4), corrections=corrections, jacobian=penalty)
    torch.manual_seed(1)
    training = deq.forward_train(f, start)
    torch.manual_seed(1)
    assert training.regularisation == penalty(f, training.states[-1])
    for without in (None, JacobianPenalty(weight=0)):
        assert DEQ(jacobian=without).forward_train(f, start).regularisation is None


def test_training_finds_a_map_with_a_given_fixed_point():
    wanted = torch.tensor([[0.5, -0.3]], dtype=F64)
    f = symmetric(0.5, width=2)
    f.offset.requires_grad_()
    optimizer = torch.optim.SGD([f.offset], lr=0.3)
    deq = DEQ(solver=FixedPoint(max_steps=60, tolerance=1e-9))
    for _ in range(40):
        optimizer.zero_grad()
        (deq.forward_train(f, f.start).states[-1][0] - wanted).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(deq.solve(f, f.start).z[0], wanted, rtol=0, atol=1e-4)
