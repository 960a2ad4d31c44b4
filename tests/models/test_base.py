import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from support.batches import shifted_noise
from support.models import short_model
from torch import nn
from torch.utils.data import DataLoader

from flowbench.engine.evaluation.module import EvaluationModule
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel, Optimisation
from flowbench.networks.base import FlowNetwork
from flowbench.networks.fastflownet import FastFlowNet
from flowbench.objectives import SequenceLoss
from flowbench.ops.padding import InputPadder, InputResizer
from flowbench.structures import FlowBatch, FlowOutput


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return short_model("raft_small").eval()


@pytest.fixture(scope="module")
def arrays():
    """Two pairs as uint8 arrays (2, 70, 91, 3): sizes that are no multiples of 8."""
    samples = [shifted_noise(index, height=70, width=91) for index in range(2)]
    return np.stack([sample.image1 for sample in samples]), np.stack([sample.image2 for sample in samples])


class ConstantFlow(FlowNetwork):
    stride = 8

    def __init__(self, u: float, v: float) -> None:
        super().__init__()
        self.flow = nn.Parameter(torch.tensor([u, v]).view(1, 2, 1, 1))

    def normalise(self, image1, image2):
        return image1, image2

    def forward(self, image1, image2, reuse=None, *, normalised=False):
        return FlowOutput(self.flow.expand(image1.shape[0], 2, *image1.shape[-2:]))


def constant_model(u: float, v: float) -> FlowModel:
    return FlowModel(name="constant", network=ConstantFlow(u, v), objective=SequenceLoss(), padder=InputPadder())


def as_tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).movedim(-1, -3).float() / 255


def batch_norms(model: FlowModel) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def optimisation(freeze_batch_norm: bool) -> Optimisation:
    return Optimisation(optimizer=torch.optim.AdamW, lr_scheduler=None, freeze_batch_norm=freeze_batch_norm)


def test_every_kind_of_picture_gives_the_same_flow(model, arrays):
    batch = model.estimate(*map(as_tensor, arrays)).flow
    assert batch.shape == (2, 2, 70, 91)
    assert torch.equal(model.estimate(*arrays).flow, batch)
    for index in range(2):
        pair = [array[index] for array in arrays]
        single = model.estimate(*pair).flow
        assert single.shape == (1, 2, 70, 91)
        assert torch.equal(model.estimate(*map(as_tensor, pair)).flow, single)
        torch.testing.assert_close(single[0], batch[index], rtol=1e-4, atol=1e-4)


def test_the_estimate_is_the_networks_flow_of_the_padded_pictures(model, arrays):
    padded = [nn.functional.pad(as_tensor(array), (2, 3, 1, 1), mode="replicate") for array in arrays]
    with torch.no_grad():
        expected = model.network(*padded).flow[..., 1:71, 2:93]
    assert torch.equal(model.estimate(*arrays).flow, expected)


def test_an_estimate_needs_no_gradient_and_keeps_the_mode(model, arrays):
    model.train()
    output = model.estimate(*arrays)
    assert all(module.training for module in model.modules())
    assert not output.flow.requires_grad
    assert output.predictions == []
    model.eval()
    model.estimate(*arrays)
    assert not any(module.training for module in model.modules())


def test_a_failed_estimate_keeps_the_mode(model):
    model.train()
    with pytest.raises(FlowBenchError, match="too small"):
        model.estimate(torch.zeros(3, 5, 5), torch.zeros(3, 5, 5))
    assert all(module.training for module in model.modules())
    model.eval()


def test_pictures_of_two_sizes_are_an_error(model):
    with pytest.raises(FlowBenchError, match=r"differ in size \(80x64 and 72x64\)"):
        model.estimate(torch.zeros(3, 64, 80), torch.zeros(3, 64, 72))


def test_pictures_take_the_models_precision(arrays):
    assert short_model("raft_small").double().estimate(*arrays).flow.dtype == torch.float64


def test_training_samples_that_the_network_cannot_take_are_an_error(model):
    batch = FlowBatch.collate([shifted_noise(0, height=64, width=90)])
    with pytest.raises(FlowBenchError, match=r"64x90 .* raft_small needs multiples of 8: crop them"):
        model.training_step(batch, 0)


def test_a_loss_that_is_no_number_names_the_samples(model):
    batch = FlowBatch.collate([shifted_noise(4)])
    batch.image1[:] = float("nan")
    with pytest.raises(FlowBenchError, match="loss became nan at step 0, on the samples noise/4"):
        model.train().training_step(batch, 0)
    model.eval()


@pytest.mark.parametrize("frozen", [True, False])
def test_batch_norm_is_frozen_when_asked(frozen):
    model = short_model("raft", iterations=1)
    model.optimisation = optimisation(frozen)
    before = [norm.running_mean.clone() for norm in batch_norms(model)]
    model.train()
    model.estimate(torch.rand(3, 64, 64), torch.rand(3, 64, 64))
    model.network(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert len(before) > 0
    assert model.network.training
    for norm, mean in zip(batch_norms(model), before):
        assert norm.training is not frozen
        assert torch.equal(norm.running_mean, mean) is frozen


def test_iterations_of_an_estimate_can_be_set(model, arrays):
    model.set_iterations(3)
    assert model.estimate(*arrays).stats["steps"].tolist() == [3, 3]
    with pytest.raises(FlowBenchError, match="iterations=0: a whole number above zero"):
        model.set_iterations(0)
    model.set_iterations(2)


def test_what_a_family_does_not_have_is_an_error():
    model = constant_model(0.0, 0.0)
    with pytest.raises(FlowBenchError, match="constant does not iterate"):
        model.set_iterations(3)
    with pytest.raises(FlowBenchError, match="no official checkpoints"):
        model.from_official({})
    with pytest.raises(FlowBenchError, match="constant cannot start from the previous pair: leave warm_start out"):
        model.warm_started()
    with pytest.raises(FlowBenchError, match="constant was made without an optimisation, which training needs"):
        model.configure_optimizers()


def test_a_checkpoint_remembers_the_settings(model):
    checkpoint = {}
    model.on_save_checkpoint(checkpoint)
    assert checkpoint["hyper_parameters"]["model"]["name"] == "raft_small"


def test_test_figures_are_those_of_the_flow():
    model, batch = constant_model(3.0, 4.0), FlowBatch.collate([shifted_noise(index, shift=0) for index in range(2)])
    tester = EvaluationModule(model)
    total, count = tester.test_step(batch, 0)["sums"]["epe"]
    assert (total / count).tolist() == [5.0, 5.0]
    tester.on_test_epoch_end()
    assert tester.results["epe"] == 5.0
    assert (tester.results["3px"], tester.results["5px"]) == (100.0, 0.0)


def test_lightnings_own_test_logs_the_same():
    model, data = constant_model(3.0, 4.0), DataLoader([shifted_noise(0, shift=0)], collate_fn=FlowBatch.collate)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    (metrics,) = trainer.test(model, data, verbose=False)
    assert metrics["test/epe"] == 5.0


@pytest.mark.parametrize("multiple", [0, -64, 32, 96])
def test_a_fitting_that_the_network_cannot_take_is_refused(multiple):
    with pytest.raises(FlowBenchError, match=rf"multiples of {multiple}: fastflownet takes images in multiples of 64"):
        FlowModel(name="fastflownet", network=FastFlowNet(), objective=SequenceLoss(), padder=InputResizer(multiple))
