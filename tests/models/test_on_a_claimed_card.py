"""Every architecture on a graphics card that is only claimed: nothing that it computes with may be left on the CPU.

tests/cuda holds what needs a real one.
"""

import pytest
import torch
from support.batches import shifted_noise
from support.claimed_card import claimed_card
from support.models import ARCHITECTURES, short_model

from flowbench.engine.config.groups import model_config
from flowbench.engine.config.models import build_model
from flowbench.engine.prediction.predictor import PairPredictor
from flowbench.metrics import sample_sums
from flowbench.structures import FlowBatch

STEPS = ("network.deq.solver.max_steps=2", "network.deq.eval_steps=2", "network.deq.corrections.count=1")


@pytest.fixture
def card():
    with claimed_card():
        yield torch.device("cuda", 0)


def trained_and_tested(model, card):
    """One training step, one test step and one prediction, the last two from a pair before where the model can."""
    model.to(card).train()
    # More than one value a channel on the coarsest level, for batch norm.
    side = max(64, 2 * model.network.stride)
    samples = [shifted_noise(index, side, side) for index in range(2)]
    batch = FlowBatch.collate(samples).to(card)
    output = model.network(batch.image1, batch.image2)
    loss = model.objective(output, batch).total
    (loss if output.regularisation is None else loss + output.regularisation).backward()
    assert {parameter.grad.device for parameter in model.parameters()} == {card}
    estimate = model.estimate(batch.image1, batch.image2, output.reuse)
    model.metrics.update(sample_sums(estimate.flow, batch))
    assert model.metrics.compute()["epe"] > 0
    assert {stat.device for stat in (estimate.flow, *estimate.stats.values())} == {card}
    warm = PairPredictor(model, warm_start=output.reuse is not None)
    for sample in samples:
        assert warm(sample.image1[None], sample.image2[None]).shape == (1, side, side, 2)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture(name, card):
    trained_and_tested(short_model(name), card)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("raft_small", ["network.iterations=2", "network.eval_iterations=2", "network.correlation=on_demand"]),
        ("deqflow_tiny", [*STEPS, "solver=anderson", "gradient=implicit", "network.gma=true"]),
        ("deqflow_tiny", [*STEPS, "solver=broyden", "network.correlation=on_demand", "network.dropout=0.1"]),
        ("deltadeq_tiny", [*STEPS, "network.delta.execution=sparse", "network.delta.rule=pixel"]),
        (
            "deltadeq_tiny",
            [*STEPS, "network.delta.execution=dense", "network.count=true", "network.across_frames=true"],
        ),
    ],
)
def test_what_a_model_may_be_made_of(name, changes, card):
    trained_and_tested(build_model(model_config(name, changes)), card)


def test_a_spectral_radius(card):
    model = short_model("deqflow_tiny").to(card)
    image1, image2 = (torch.rand(1, 3, 64, 64, device=card) for _ in range(2))
    assert model.network.spectral_radius(image1, image2, steps=2).device == card


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: x + torch.arange(3),
        lambda x: torch.cat([x, torch.zeros(3)]),
        lambda x: torch.stack([x.sum(), torch.tensor(1.0)]),
        lambda x: torch.where(x > 0, x, torch.ones(3)),
        lambda x: torch.ones(3)[x.long()],
        lambda x: x.numpy(),
        lambda x: torch.rand(3, device=x.device, generator=torch.Generator()),
    ],
)
def test_what_would_fail_on_a_card_fails(mistake, card):
    with pytest.raises((RuntimeError, TypeError)):
        mistake(torch.rand(3, device=card))


def test_what_a_card_allows_is_allowed(card):
    x = torch.rand(3, device=card)
    assert (2 * x).add(torch.tensor(1.0))[torch.tensor([0, 1])].device == card
    assert x.to("cpu").numpy().shape == (3,)
    assert torch.zeros(3).copy_(x).device == torch.device("cpu")
    assert torch.zeros_like(x).new_ones(2).is_cuda
