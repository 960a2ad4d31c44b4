import pytest
import torch
from omegaconf import OmegaConf
from support import golden
from support.checkpoints import save_ours

from flowbench import deq
from flowbench.engine.config.groups import model_config
from flowbench.engine.config.models import build_model, load_model, start_from
from flowbench.engine.training.callbacks import StepSeed
from flowbench.errors import FlowBenchError
from flowbench.networks.base import FlowNetwork


def test_a_part_of_another_kind_takes_the_place_of_the_remembered_one(tmp_path):
    path = save_ours(build_model(model_config("deqflow_tiny", ["solver=anderson"])), tmp_path / "ours.ckpt")
    damped = model_config("deqflow_tiny", ["solver=damped", "network.deq.solver.damping=0.5"])
    changes = OmegaConf.create({"network": {"deq": {"solver": damped.network.deq.solver, "eval_steps": 7}}})
    model, _ = load_model(path, changes)
    assert isinstance(model.network.deq.solver, deq.Damped)
    assert (model.network.deq.solver.damping, model.iterations) == (0.5, 7)
    assert isinstance(model.network.deq.corrections, deq.SegmentedCorrection)


def test_every_part_of_an_accumulated_step_draws_its_own():
    class Trainer:
        global_step, global_rank, accumulate_grad_batches = 3, 0, 2

    drawn = []
    for batch in range(4):
        StepSeed(0).on_train_batch_start(Trainer(), None, None, batch)
        drawn.append(torch.rand(1).item())
    assert drawn[0] != drawn[1]
    assert drawn[:2] == drawn[2:]


def official(tmp_path, weights):
    path = tmp_path / "official.pth"
    torch.save(golden.official_state(weights), path)
    return path


OURS, FASTFLOWNET, LIGHTFLOW = "ours", "fastflownet_v2", "lightflow_w1"


@pytest.mark.parametrize(
    ("name", "weights", "needed", "own"),
    [
        ("fastflownet", FASTFLOWNET, "unit_features=false", "true"),
        ("fastflownet", OURS, "unit_features=false", "true"),
        ("lightflow", LIGHTFLOW, "predictor_activation=true", "false"),
        ("lightflow_05", LIGHTFLOW, "width=1.0", "0.5"),
    ],
)
def test_training_starts_only_from_weights_of_the_same_network(name, weights, needed, own, tmp_path):
    if weights == OURS:
        path = save_ours(build_model(model_config(name, [f"network.{needed}"])), tmp_path / "ours.ckpt")
    else:
        path = official(tmp_path, weights)
    with pytest.raises(FlowBenchError, match=rf"need model\.network\.{needed}, but the model has {own}: add"):
        start_from(build_model(model_config(name)), path)


def test_training_starts_from_official_weights(tmp_path):
    model = build_model(model_config("fastflownet", ["network.unit_features=false"]))
    start_from(model, official(tmp_path, FASTFLOWNET))
    given = golden.official_state(FASTFLOWNET)["up3.weight"]
    assert torch.equal(model.network.up["3"].weight, given)


def test_weights_of_another_network_are_told_as_such(tmp_path):
    with pytest.raises(FlowBenchError, match="is not of this network"):
        start_from(build_model(model_config("fastflownet")), official(tmp_path, "raft_small"))


@pytest.mark.parametrize(("name", "weights"), [("lightflow", LIGHTFLOW), ("deltadeq_tiny", OURS)])
def test_a_network_is_built_once_for_a_checkpoint_of_another_variant(name, weights, tmp_path, monkeypatch):
    if weights == OURS:
        path = save_ours(
            build_model(model_config("deqflow_tiny", ["network.weight_norm=false"])), tmp_path / "ours.ckpt"
        )
    else:
        path = official(tmp_path, weights)
    built, init = [], FlowNetwork.__init__
    monkeypatch.setattr(FlowNetwork, "__init__", lambda self: (built.append(type(self)), init(self))[1])
    model, _ = load_model(path, model_config(name))
    assert built == [type(model.network)]


def test_what_is_no_model_is_refused():
    config = OmegaConf.create({"_target_": "flowbench.ops.padding.InputPadder", "name": "odd"})
    with pytest.raises(
        FlowBenchError, match=r"_target_ of the model is 'flowbench\.ops\.padding\.InputPadder', which is no"
    ):
        build_model(config)
