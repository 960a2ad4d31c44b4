"""What holds for every model of conf/model, at a few iterations and few pixels."""

import pytest
import torch
from support.batches import shifted_noise
from support.hydra import GROUPS
from support.models import ARCHITECTURES, short_model

from flowbench.structures import FlowBatch

MODELS = pytest.mark.parametrize("name", GROUPS["model"])
EACH_ARCHITECTURE = pytest.mark.parametrize("name", ARCHITECTURES)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.exhaustive] if name == "deqflow_g" else []) for name in GROUPS["model"]],
)
def test_a_few_steps_on_one_batch_lower_its_loss(name):
    """Every parameter takes part, and the loss falls by 40 % within 15 steps."""
    model = short_model(name).train()
    # More than one value a channel on the coarsest level, for batch norm.
    side = max(64, 2 * model.network.stride)
    batch = FlowBatch.collate([shifted_noise(index, side, side) for index in range(2)])
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=3e-4)
    losses = []
    while len(losses) < 15 and min(losses, default=1.0) > 0.6 * max(losses[:1], default=0.0):
        optimizer.zero_grad()
        loss = model.objective(model.network(batch.image1, batch.image2), batch).total
        loss.backward()
        without = [name for name, parameter in model.network.named_parameters() if parameter.grad is None]
        assert without == []
        assert torch.nn.utils.clip_grad_norm_(model.network.parameters(), 1.0) > 0
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@EACH_ARCHITECTURE
def test_half_precision_gives_nearly_the_same_flow(name):
    model, sample = short_model(name), shifted_noise(0)
    flow = model.estimate(sample.image1, sample.image2).flow
    with torch.autocast("cpu", torch.bfloat16):
        found = model.estimate(sample.image1, sample.image2).flow
    assert found.dtype == torch.float32
    off, length = (vectors.norm(dim=1).mean().item() for vectors in (found - flow, flow))
    assert 0 < off < 0.05 * length


@EACH_ARCHITECTURE
def test_pictures_are_not_mixed_across_the_batch(name):
    model = short_model(name)
    batch = FlowBatch.collate([shifted_noise(index) for index in range(2)])
    together = model.estimate(batch.image1, batch.image2).flow
    for index in range(2):
        alone = model.estimate(batch.image1[index], batch.image2[index]).flow
        torch.testing.assert_close(together[index], alone[0], rtol=1e-3, atol=1e-3)
