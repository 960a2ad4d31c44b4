from dataclasses import replace

import pytest
import torch
from support.maps import F64, Linear, symmetric

from flowbench.deq import JacobianPenalty, State, spectral_radius


def test_penalty_is_the_squared_frobenius_norm_over_the_size():
    """In expectation; a large batch of one matrix makes the estimate narrow."""
    matrix = torch.randn(5, 5, dtype=F64)
    f = Linear(matrix.expand(4000, 5, 5), torch.zeros(4000, 5, dtype=F64))
    estimate = JacobianPenalty(weight=0.7, samples=5)(f, f.start)
    assert estimate.item() == pytest.approx(0.7 * matrix.square().sum().item() / 5, rel=0.03)


def test_penalty_averages_over_the_batch():
    first, second = torch.randn(2, 3, 3, dtype=F64)
    matrix = torch.stack([first, second]).repeat(4000, 1, 1)
    estimate = JacobianPenalty(weight=1, samples=5)(f := Linear(matrix, torch.zeros(8000, 3, dtype=F64)), f.start)
    expected = (first.square().sum() + second.square().sum()) / 2 / 3
    assert estimate.item() == pytest.approx(expected.item(), rel=0.03)


def test_more_samples_narrow_the_estimate():
    f = symmetric(1.0)

    def spread(samples: int) -> float:
        return torch.stack([JacobianPenalty(weight=1, samples=samples)(f, f.start) for _ in range(200)]).std().item()

    assert spread(16) == pytest.approx(spread(1) / 4, rel=0.3)


def test_gradient_of_the_penalty_reaches_the_parameters():
    """d ||A||_F^2 / D / dA = 2 A / D, in expectation."""
    matrix = torch.randn(3, 3, dtype=F64, requires_grad=True)
    f = Linear(matrix.expand(20000, 3, 3), torch.zeros(20000, 3, dtype=F64))
    JacobianPenalty(weight=1)(f, f.start).backward()
    torch.testing.assert_close(matrix.grad, 2 * matrix.detach() / 3, rtol=0.05, atol=0.05)


def test_penalty_of_a_nonlinear_map_depends_on_the_state():
    """J of z^2 / 2 is diag(z). One entry only: v^2 z^2 has the expectation z^2."""

    def f(state: State) -> State:
        return (state[0].square() / 2,)

    z = (torch.full((20000, 1), 3.0),)
    assert JacobianPenalty(weight=1)(f, z).item() == pytest.approx(9, rel=0.03)


def test_penalty_of_several_parts_takes_all_blocks():
    """The parts are swapped and scaled by 2 and 3: the squared norm is 4 n + 9 n over 2 n entries."""

    def f(state: State) -> State:
        return 2 * state[1], 3 * state[0]

    z = torch.zeros(5000, 2), torch.zeros(5000, 2)
    assert JacobianPenalty(weight=1)(f, z).item() == pytest.approx(13 / 2, rel=0.03)


def test_no_weight_is_no_penalty():
    f = symmetric(1.0)
    assert JacobianPenalty(weight=0)(f, f.start).item() == 0


def test_spectral_radius_of_symmetric_matrices():
    f = symmetric(0.5, 1.3, 0.9)
    for sign in (1, -1):
        signed = replace(f, matrix=sign * f.matrix)
        expected = torch.linalg.eigvals(signed.matrix).abs().amax(dim=1)
        torch.testing.assert_close(spectral_radius(signed, f.start, steps=200), expected)
        torch.testing.assert_close(expected, torch.tensor([0.5, 1.3, 0.9], dtype=F64))


def test_spectral_radius_at_a_state():
    """J of tanh(3 z) is 3 (1 - tanh(3 z)^2): 3 at 0, next to nothing far away. No graph is asked for or left."""
    z = torch.tensor([[0.0], [0.2], [5.0]], dtype=F64)
    with torch.no_grad():
        radius = spectral_radius(lambda state: (torch.tanh(3 * state[0]),), (z,), steps=3)
    torch.testing.assert_close(radius, 3 * (1 - torch.tanh(3 * z[:, 0]) ** 2))
    assert not radius.requires_grad


def test_spectral_radius_of_a_map_that_forgets_its_state():
    """A nilpotent J has no eigenvalue but 0."""

    def f(state: State) -> State:
        return torch.zeros_like(state[0]) * state[0], state[0] * 5

    radius = spectral_radius(f, (torch.ones(2, 3), torch.ones(2, 3)))
    assert radius.tolist() == [0, 0]
