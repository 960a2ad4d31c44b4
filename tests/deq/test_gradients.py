from dataclasses import dataclass, replace

import pytest
import torch
from support.maps import F64
from torch import Tensor

from flowbench.deq import (
    DEQ,
    Anderson,
    Broyden,
    Damped,
    FixedPoint,
    Gradient,
    ImplicitGradient,
    PhantomGradient,
    State,
)

EXACT = Broyden(max_steps=200, tolerance=1e-13)


@dataclass(frozen=True)
class Layer:
    """z -> tanh(z W^T + x), or without the tanh."""

    weight: Tensor
    x: Tensor
    activation: torch.nn.Module

    def __call__(self, state: State) -> State:
        return (self.activation(state[0] @ self.weight.T + self.x),)

    @property
    def start(self) -> State:
        return (torch.zeros_like(self.x),)

    def gradients(self, z: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        return torch.autograd.grad((z * weights).sum(), (self.weight, self.x))


def layer(activation: torch.nn.Module | None = None) -> Layer:
    weight = (torch.randn(3, 3, dtype=F64) * 0.25).requires_grad_()
    x = torch.randn(2, 3, dtype=F64).requires_grad_()
    return Layer(weight, x, activation or torch.nn.Tanh())


def attached(f: Layer, gradient: Gradient) -> list[Tensor]:
    found = EXACT.solve(f, f.start)
    return [state[0] for state in gradient.attach(f, found.z)]


def implicit(solver=EXACT, safe: bool = False) -> ImplicitGradient:
    return ImplicitGradient(solver=solver, safe=safe)


@pytest.mark.parametrize("safe", [False, True])
def test_implicit_gradient_is_that_of_finite_differences(safe):
    f = layer()

    def fixed_point(weight: Tensor, x: Tensor) -> Tensor:
        deq = DEQ(solver=EXACT, gradient=implicit(safe=safe))
        return deq.forward_train(Layer(weight, x, f.activation), f.start).states[-1][0]

    assert torch.autograd.gradcheck(fixed_point, (f.weight, f.x))


BACKWARD = [FixedPoint(), Damped(), Anderson(ridge=1e-20), Broyden(), Broyden(line_search=True)]


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("solver", BACKWARD, ids=lambda solver: repr(solver)[:9])
def test_implicit_gradient_of_a_linear_map(solver, safe):
    """z* = (I - W)^-1 x, so dloss/dx = (I - W)^-T dloss/dz and dloss/dW = dloss/dx z*^T."""
    f, weights = layer(torch.nn.Identity()), torch.randn(2, 3, dtype=F64)
    (z,) = attached(f, implicit(replace(solver, max_steps=200, tolerance=1e-12), safe))
    inverse = torch.linalg.inv(torch.eye(3, dtype=F64) - f.weight.detach())
    torch.testing.assert_close(z, f.x @ inverse.T)
    by_weight, by_x = f.gradients(z, weights)
    torch.testing.assert_close(by_x, weights @ inverse)
    torch.testing.assert_close(by_weight, (weights @ inverse).T @ z)


def test_backward_tolerance_bounds_the_error_of_the_gradient():
    f, weights = layer(), torch.randn(2, 3, dtype=F64)
    (z,) = attached(f, implicit())
    exact = f.gradients(z, weights)[1]
    for tolerance in (1e-1, 1e-3, 1e-6):
        (z,) = attached(f, implicit(FixedPoint(tolerance=tolerance)))
        error = (f.gradients(z, weights)[1] - exact).norm(dim=1)
        assert 0 < error.max() < 3 * tolerance


def test_safe_differs_where_the_solver_has_not_converged():
    """J at f(z) against J at z."""
    f, weights = layer(), torch.ones(2, 3, dtype=F64)
    gradients = {}
    for safe in (False, True):
        z = (torch.full((2, 3), 0.4, dtype=F64),)
        ((image,),) = implicit(safe=safe).attach(f, z)
        around = f(z)[0].detach() if safe else z[0]
        jacobian = (1 - torch.tanh(around @ f.weight.T + f.x) ** 2)[:, :, None] * f.weight
        adjoint = torch.linalg.solve((torch.eye(3, dtype=F64) - jacobian).mT, weights)
        gradients[safe] = f.gradients(image, weights)[1]
        torch.testing.assert_close(gradients[safe], adjoint * (1 - f(z)[0] ** 2))
    assert not torch.allclose(gradients[False], gradients[True])


def test_implicit_gradient_of_parts_that_do_not_depend_on_each_other():
    """The second part is constant, the third depends on a parameter and on no part: neither adds to the first one's."""
    f, shift = layer(torch.nn.Identity()), torch.tensor([2.0], dtype=F64, requires_grad=True)

    def parts(state: State) -> State:
        (first,) = f(state[:1])
        return first, torch.ones_like(state[1]), shift.expand_as(state[2])

    start = f.start[0], torch.zeros(2, 1, dtype=F64), torch.zeros(2, 1, dtype=F64)
    (state,) = implicit().attach(parts, EXACT.solve(parts, start).z)
    (alone,) = attached(f, implicit())
    sum(part.sum() for part in state).backward()
    torch.testing.assert_close((f.weight.grad, f.x.grad), f.gradients(alone, torch.ones_like(alone)))
    assert shift.grad.item() == 2


def test_a_loss_that_sees_one_part_alone():
    f = layer(torch.nn.Identity())

    def parts(state: State) -> State:
        return f(state[:1])[0], state[0] / 2

    start = (f.start[0], f.start[0])
    (state,) = implicit().attach(parts, EXACT.solve(parts, start).z)
    (alone,) = attached(f, implicit())
    ours = f.gradients(state[1], torch.ones_like(alone))
    torch.testing.assert_close(ours, f.gradients(alone, torch.full_like(alone, 0.5)))


def test_an_implicit_gradient_can_be_taken_twice_and_changes_nothing():
    f, weights = layer(), torch.randn(2, 3, dtype=F64)
    (z,) = attached(f, implicit())
    loss = (z * weights).sum()
    first = torch.autograd.grad(loss, f.weight, retain_graph=True)
    second = torch.autograd.grad(loss, f.weight)
    assert torch.equal(first[0], second[0])


@pytest.mark.parametrize(("steps", "tau"), [(1, 1.0), (3, 1.0), (4, 0.7)])
def test_phantom_gradient_is_that_of_its_steps(steps, tau):
    f, weights = layer(), torch.randn(2, 3, dtype=F64)
    start = (torch.full((2, 3), 0.3, dtype=F64),)
    ((z,),) = PhantomGradient(steps=steps, tau=tau).attach(f, start)
    unrolled = start[0]
    for _ in range(steps):
        unrolled = (1 - tau) * unrolled + tau * f((unrolled,))[0]
    torch.testing.assert_close(z, unrolled)
    torch.testing.assert_close(f.gradients(z, weights), f.gradients(unrolled, weights))


def test_phantom_gradient_is_a_truncated_neumann_series():
    """Of a linear map: dloss/dx = sum over i < steps of (W^T)^i dloss/dz; all of them make the implicit gradient."""
    f, weights = layer(torch.nn.Identity()), torch.randn(2, 3, dtype=F64)
    power, series = weights, torch.zeros_like(weights)
    for steps in range(1, 6):
        series, power = series + power, power @ f.weight.detach()
        (z,) = attached(f, PhantomGradient(steps=steps))
        torch.testing.assert_close(f.gradients(z, weights)[1], series)
    (z,) = attached(f, PhantomGradient(steps=100))
    torch.testing.assert_close(f.gradients(z, weights), f.gradients(attached(f, implicit())[0], weights))


def test_one_step_gradient_takes_the_state_as_given():
    f = layer()
    z = EXACT.solve(f, f.start).z[0]
    (image,) = attached(f, PhantomGradient())
    assert torch.equal(image, f((z.detach(),))[0])
    torch.testing.assert_close(f.gradients(image, torch.ones_like(z))[1], 1 - image.detach() ** 2)


def test_supervise_all_gives_each_step():
    f = layer()
    states = attached(f, PhantomGradient(steps=3, tau=0.8, supervise_all=True))
    assert len(states) == 3
    for number, state in enumerate(states, 1):
        assert torch.equal(state, attached(f, PhantomGradient(steps=number, tau=0.8))[0])


@pytest.mark.parametrize("gradient", [PhantomGradient(steps=2), implicit(), implicit(safe=True)], ids=str)
def test_no_gradient_flows_into_the_state_given(gradient):
    f = layer()
    z = torch.ones(2, 3, dtype=F64, requires_grad=True)
    gradient.attach(f, (z,))[-1][0].sum().backward()
    assert z.grad is None
    assert f.weight.grad.abs().sum() > 0
