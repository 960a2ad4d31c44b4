import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from support.checkpoints import save_ours
from support.hydra import GROUPS

import flowbench
from flowbench.errors import FlowBenchError


def same_weights(one, other) -> bool:
    ours, theirs = one.network.state_dict(), other.network.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_name_gives_a_model_in_eval_mode():
    model = flowbench.load("raft_small", None)
    assert model.name == "raft_small"
    assert not any(module.training for module in model.modules())
    assert model.settings["model"]["network"]["_target_"] == "flowbench.networks.raft.raft_small"


def test_overrides_change_the_models_config():
    model = flowbench.load("raft_small", None, ["network.eval_iterations=5", "padder.mode=kitti"])
    assert model.network.eval_iterations == 5
    assert model.padder.mode == "kitti"
    assert model.settings["model"]["network"]["eval_iterations"] == 5


def test_a_checkpoint_of_ours_knows_its_model(tmp_path):
    saved = flowbench.load("raft_small", None, ["network.eval_iterations=5"])
    path = save_ours(saved, tmp_path / "our.ckpt")
    model = flowbench.load(path)
    assert (model.name, model.network.eval_iterations, model.training) == ("raft_small", 5, False)
    assert same_weights(model, saved)


def test_a_name_with_a_checkpoint_may_change_the_checkpoints_settings(tmp_path):
    saved = flowbench.load("raft_small", None, ["network.eval_iterations=5"])
    path = save_ours(saved, tmp_path / "our.ckpt")
    model = flowbench.load("raft_small", path, ["network.eval_iterations=7"])
    assert model.network.eval_iterations == 7
    assert same_weights(model, saved)
    with pytest.raises(FlowBenchError, match="holds the model 'raft_small', but model=raft was asked for"):
        flowbench.load("raft", path)


def test_a_checkpoint_that_names_a_foreign_target_is_refused(tmp_path):
    saved = flowbench.load("raft_small", None)
    saved.settings["model"]["objective"] = {"_target_": "torch.hub.load", "repo_or_dir": "someone/else"}
    with pytest.raises(FlowBenchError, match=r"'torch\.hub\.load' is refused"):
        flowbench.load(save_ours(saved, tmp_path / "odd.ckpt"))


def test_an_official_checkpoint_needs_the_models_name(tmp_path):
    torch.save({"module.fnet.conv1.weight": torch.zeros(1)}, tmp_path / "raft-things.pth")
    with pytest.raises(FlowBenchError, match="does not say which model it is: add model=<name>"):
        flowbench.load(tmp_path / "raft-things.pth")


def test_overrides_of_a_nameless_checkpoint_are_refused(tmp_path):
    path = save_ours(flowbench.load("raft_small", None), tmp_path / "our.ckpt")
    with pytest.raises(FlowBenchError, match="Overrides need the model's name"):
        flowbench.load(path, overrides=["network.eval_iterations=7"])


def test_an_unknown_name_lists_the_models():
    with pytest.raises(FlowBenchError, match="'raftt' is neither a model nor a checkpoint file") as raised:
        flowbench.load("raftt")
    assert all(name in str(raised.value) for name in GROUPS["model"])


def test_loading_inside_another_hydra_program_leaves_it_as_it_was(tmp_path):
    (tmp_path / "theirs.yaml").write_text("answer: 42")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        flowbench.load("raft_small", None)
        assert OmegaConf.to_container(compose("theirs")) == {"answer": 42}
