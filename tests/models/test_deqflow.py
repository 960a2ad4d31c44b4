import warnings
from dataclasses import dataclass

import pytest
import torch
from support.batches import shifted_noise
from support.hydra import composed
from support.runs import SMALL, run_here

from flowbench.engine.config.groups import model_config
from flowbench.engine.config.models import build_model
from flowbench.engine.train import train
from flowbench.networks.refinement import Refinement
from flowbench.structures import FlowBatch

SHORT = (
    "model=deqflow_tiny",
    "model.network.deq.solver.max_steps=4",
    "model.network.deq.corrections.count=2",
    "model.network.deq.eval_steps=3",
)


def short_model(*changes: str):
    model = build_model(model_config("deqflow_tiny", [word.removeprefix("model.") for word in SHORT[1:]] + [*changes]))
    model.logged = {}
    model.log = lambda name, value, **_: model.logged.update({name: value})
    return model.train()


def two_pairs() -> FlowBatch:
    return FlowBatch.collate([shifted_noise(index) for index in range(2)])


@dataclass(frozen=True)
class Spoilt:
    """The map of a network, but no number for the bad pairs once their coordinates have moved."""

    refine: Refinement
    bad: torch.Tensor
    through_coords: bool = False

    @property
    def grid(self):
        return self.refine.grid

    def __call__(self, state):
        hidden, coords = self.refine(state)
        moved = (state[1] != self.grid).flatten(1).any(dim=1)
        return hidden, torch.where((self.bad & moved)[:, None, None, None], torch.nan, coords)

    def select(self, index):
        return Spoilt(self.refine.select(index), self.bad[index])


def spoil(model, *bad: bool) -> None:
    problem = model.network.problem

    def spoilt(*images, **options):
        refine, start = problem(*images, **options)
        return Spoilt(refine, torch.tensor(bad)), start

    model.network.problem = spoilt


def logged(model, output, batch):
    model.log_training(output, batch, model.objective.terms(output, batch))
    return {name: float(torch.as_tensor(value).detach()) for name, value in model.logged.items()}


def test_each_correction_and_the_solver_are_logged():
    model, batch = short_model(), two_pairs()
    output = model.network(batch.image1, batch.image2)
    figures = logged(model, output, batch)
    terms = [(prediction - batch.flow).abs().mean().item() for prediction in output.predictions]
    assert [figures["train/loss_1"], figures["train/loss_2"]] == pytest.approx(terms)
    assert figures["train/steps"] == 4
    assert figures["train/abs_residual"] == pytest.approx(output.stats["abs_residual"].mean().item())
    assert "train/regularisation" not in figures


def test_the_jacobian_penalty_joins_the_loss_by_configuration():
    model, batch = short_model("network.deq.jacobian.weight=10"), two_pairs()
    output = model.network(batch.image1, batch.image2)
    assert output.regularisation > 0
    assert logged(model, output, batch)["train/regularisation"] == pytest.approx(output.regularisation.item())
    (gradient,) = torch.autograd.grad(output.regularisation, [model.network.update_block.gru.convq1.bias])
    assert gradient.abs().sum() > 0


def test_a_solver_that_diverges_is_told_once_with_its_pairs():
    model, batch = short_model(), two_pairs()
    spoil(model, False, True)
    with torch.no_grad():
        found = model.network.deq.solve(*model.network.problem(batch.image1, batch.image2))
    assert found.stats.reason.tolist() == [0, 3]
    assert all(part.isfinite().all() for part in found.z)

    with pytest.warns(UserWarning, match=r"diverged at step 0 on noise/1, and"):
        loss = model.training_step(batch, 0)
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.training_step(batch, 0)


def test_a_batch_that_diverges_as_a_whole_keeps_several_processes_together():
    """They meet over each logged term and over the gradient of every parameter, and would wait for those left out."""
    model = short_model("network.deq.gradient.steps=3", "network.deq.gradient.supervise_all=true")
    model.training_step(two_pairs(), 0)
    healthy = set(model.logged)
    spoil(model, True, True)
    model.logged.clear()
    with pytest.warns(UserWarning, match="diverged at step 0 on noise/0, noise/1"):
        loss = model.training_step(two_pairs(), 0)
    loss.backward()
    assert set(model.logged) == healthy
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def test_dropout_is_one_mask_for_all_steps_and_drawn_anew_each_forward():
    model, batch = short_model("network.dropout=0.5"), two_pairs()
    refine, start = model.network.problem(batch.image1, batch.image2)
    once, again = refine(start), refine(start)
    assert torch.equal(once[0], again[0])
    other, _ = model.network.problem(batch.image1, batch.image2)
    assert not torch.equal(other(start)[0], once[0])
    model.eval()
    plain = [model.network.problem(batch.image1, batch.image2)[0](start)[0] for _ in range(2)]
    assert torch.equal(*plain)


def test_a_run_validates_the_spectral_radius(tmp_path):
    words = (*SHORT, *SMALL, "schedule.steps=2", "schedule.val_interval=2", "model.spectral_radius=3")
    ended = run_here(train, "train", *words, f"hydra.run.dir={tmp_path}")
    assert ended.code == 0, ended.told
    header, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
    radius = dict(zip(header.split(","), rows[-1].split(","), strict=True))["val/spectral_radius"]
    assert 0 < float(radius) < 10


@pytest.mark.parametrize("size", ["b", "l", "h", "g"])
def test_gma_is_a_setting_of_every_size(size):
    config = composed("train", f"model=deqflow_{size}", "model.network.gma=true").model
    with torch.device("meta"):
        network = build_model(config).network
    gate = network.update_block.gru.convz1
    motion = network.update_block.gma.to_v.out_channels
    assert gate.in_channels == 2 * network.attention.to_qk.in_channels + 2 * motion


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("model.network.deq.solver.tolerance=-1", "tolerance=-1: give a tolerance of at least 0."),
        ("model.network.deq.solver.max_steps=0", "max_steps=0: a solver needs at least 1 step."),
        ("model.network.deq.corrections.count=5", "5 corrections need at least as many steps: max_steps=4."),
        ("model.network.warm=hot", "model.network.warm=hot: one of state, flow is needed."),
    ],
)
def test_a_setting_out_of_range_is_one_sentence(word, told, tmp_path):
    ended = run_here(train, "train", *SHORT, *SMALL, "schedule.steps=1", word, f"hydra.run.dir={tmp_path}")
    assert ended.code == 1
    assert " ".join(ended.stderr.split()) == f"error: {told}"
