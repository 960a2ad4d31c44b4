import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from flowbench.deq import DEQ, FixedPoint, State
from flowbench.deq.dropout import dropout_mask
from flowbench.deq.normalisation import normalise_weights, weights_computed_once


class Counted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.computed = 0

    def forward(self, weight: Tensor) -> Tensor:
        self.computed += 1
        return weight / 2


def counted() -> tuple[nn.Conv2d, Counted]:
    convolution, counter = nn.Conv2d(2, 2, 1), Counted()
    parametrize.register_parametrization(convolution, "weight", counter)
    counter.computed = 0
    return convolution, counter


def test_every_convolution_is_normalised_and_nothing_else():
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 1)), nn.Linear(4, 4))
    given = [(part, part.weight.detach().clone()) for part in module.modules() if hasattr(part, "weight")]
    assert normalise_weights(module) is module
    assert [parametrize.is_parametrized(part) for part, _ in given] == [True, True, False]
    for part, weight in given[:2]:
        magnitude, direction = part.parametrizations.weight.original0, part.parametrizations.weight.original1
        torch.testing.assert_close(part.weight, weight)
        torch.testing.assert_close(magnitude.flatten(), weight.flatten(1).norm(dim=1))
        with torch.no_grad():
            direction.mul_(7)
            magnitude.mul_(3)
        torch.testing.assert_close(part.weight, 3 * weight)


def test_weights_are_computed_once_a_block():
    convolution, counter = counted()
    for blocks in (1, 2):
        with weights_computed_once(nn.Sequential(convolution)):
            for _ in range(5):
                convolution(torch.ones(1, 2, 1, 1))
        assert counter.computed == blocks
    convolution(torch.ones(1, 2, 1, 1))
    assert counter.computed == 3


def test_weights_used_without_gradient_first_still_carry_it():
    convolution = normalise_weights(nn.Conv2d(2, 2, 3, padding=1))
    image = torch.randn(1, 2, 4, 4)

    def gradients(*, solver_first: bool) -> list[Tensor]:
        with weights_computed_once(convolution):
            if solver_first:
                with torch.no_grad():
                    convolution(image)
            loss = convolution(image).square().sum()
        return torch.autograd.grad(loss, list(convolution.parameters()))

    expected = torch.autograd.grad(convolution(image).square().sum(), list(convolution.parameters()))
    assert len(expected) == 3
    assert all(gradient.abs().sum() > 0 for gradient in expected)
    torch.testing.assert_close(gradients(solver_first=True), list(expected))
    torch.testing.assert_close(gradients(solver_first=False), list(expected))


def test_a_whole_solve_computes_the_weights_once_and_trains_them():
    convolution, counter = counted()

    def f(state: State) -> State:
        return (torch.tanh(convolution(state[0]) / 4 + 1),)

    with weights_computed_once(convolution):
        training = DEQ(solver=FixedPoint(max_steps=10, tolerance=1e-9)).forward_train(f, (torch.zeros(1, 2, 3, 3),))
    training.states[-1][0].sum().backward()
    assert training.stats[0].steps.item() > 3
    assert counter.computed == 1
    assert convolution.parametrizations.weight.original.grad.abs().sum() > 0


def test_an_optimiser_step_shows_in_the_next_block():
    convolution, _ = counted()
    for factor in (1.0, 3.0):
        with torch.no_grad():
            convolution.parametrizations.weight.original.fill_(factor)
        with weights_computed_once(convolution):
            assert (convolution.weight == factor / 2).all()


@pytest.mark.parametrize("share", [0.0, 0.25, 0.8])
def test_dropout_mask_keeps_the_mean(share):
    mask = dropout_mask((1000, 20), share, like=torch.zeros(1, dtype=torch.float64))
    assert mask.dtype == torch.float64
    assert set(mask.unique().tolist()) == ({1.0} if share == 0 else {0.0, 1 / (1 - share)})
    assert (mask == 0).double().mean().item() == pytest.approx(share, abs=0.02)
    assert mask.mean().item() == pytest.approx(1, abs=0.05)
