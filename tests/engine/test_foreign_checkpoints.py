"""Weights of other programs, in the wrappings in which they come."""

import pytest
import torch
from safetensors.torch import save_file
from support import golden
from support.runs import run_here

import flowbench
from flowbench.engine.predict import predict
from flowbench.errors import FlowBenchError

PREFIXES = ["", "module.", "module.module.", "model.", "_orig_mod.", "module._orig_mod.", "model.module."]


@pytest.fixture(scope="module")
def state():
    """Without DataParallel's `module.`."""
    return {name.removeprefix("module."): tensor for name, tensor in golden.official_state("raft_small").items()}


@pytest.fixture(scope="module")
def expected(state, tmp_path_factory):
    torch.save(state, path := tmp_path_factory.mktemp("plain") / "raft-small.pth")
    return flowbench.load("raft_small", path).network.state_dict()


def assert_same(model, expected):
    torch.testing.assert_close(model.network.state_dict(), expected, rtol=0, atol=0)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_stands_before_every_name_is_left_out(prefix, state, expected, tmp_path):
    torch.save({prefix + name: tensor for name, tensor in state.items()}, tmp_path / "wrapped.pth")
    assert_same(flowbench.load("raft_small", tmp_path / "wrapped.pth"), expected)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_weights_beside_other_things_are_found(key, state, expected, tmp_path):
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}, key: state}, tmp_path / "training.pth")
    assert_same(flowbench.load("raft_small", tmp_path / "training.pth"), expected)


def test_safetensors_predict(state, tmp_path):
    save_file(state, path := tmp_path / "raft-small.safetensors")
    words = ("model=raft_small", "input=[assets/sintel/frame_0016.png,assets/sintel/frame_0017.png]", "pictures=false")
    ended = run_here(predict, "predict", f"+ckpt={path}", *words, "iterations=1", f"hydra.run.dir={tmp_path}/run")
    assert ended.code == 0, ended.told
    assert (tmp_path / "run/flow/frame_0016.flo").is_file()


def test_a_file_without_weights_says_what_it_holds(tmp_path):
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "training.pth")
    with pytest.raises(FlowBenchError, match=r"state_dict, model_state_dict, model; found epoch, optimizer\."):
        flowbench.load("raft_small", tmp_path / "training.pth")


@pytest.mark.parametrize(
    ("weights", "asked", "held"),
    [
        ("raft_small", "raft", "raft_small"),
        ("raft_large", "fastflownet", "raft"),
        ("raft_large", "raft_h", "raft"),
        ("raft_large", "deqflow_b", "raft"),
        ("raft_h_candidate_B", "raft", "raft_h"),
        ("deq2_base", "raft", "deqflow_b"),
        ("deq2_tiny_wn", "lightflow", "deqflow_tiny"),
        ("fastflownet_v2", "raft", "fastflownet"),
        ("lightflow_w1", "deltadeq_b", "lightflow"),
    ],
)
def test_weights_of_another_model_are_named(weights, asked, held, tmp_path):
    torch.save(golden.official_state(weights), path := tmp_path / "official.pth")
    with pytest.raises(FlowBenchError, match=rf"is not of this network: .*Its weights are those of model={held}\."):
        flowbench.load(asked, path)
    with pytest.raises(FlowBenchError, match=rf"does not say which model it is: add model={held}, to which"):
        flowbench.load(path)


def test_weights_that_nobody_knows_are_not_named(tmp_path):
    torch.save({"fc.weight": torch.zeros(2, 2)}, path := tmp_path / "odd.pth")
    with pytest.raises(FlowBenchError, match=r"Choose the model that it was trained as\.$"):
        flowbench.load("raft", path)
    with pytest.raises(FlowBenchError, match="add model=<name>"):
        flowbench.load(path)
