import pytest
import torch
from support import golden

from flowbench.checkpoints.official import from_lightflow, from_princeton_raft, lightflow_width
from flowbench.errors import FlowBenchError
from flowbench.networks import raft
from flowbench.networks.lightflow import LightFlow


@pytest.mark.parametrize(("builder", "official"), [(raft.raft, "raft_large"), (raft.raft_small, "raft_small")])
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_names_become_those_of_our_network(builder, official, prefix):
    state = {name.replace("module.", prefix, 1): tensor for name, tensor in golden.official_state(official).items()}
    found = from_princeton_raft(state)
    expected = {name: tensor.shape for name, tensor in builder().state_dict().items()}
    assert {name: tensor.shape for name, tensor in found.items()} == expected
    renamed = {"update_block.gru.convz1.weight": "update_block.gru.convz1.weight"} | {
        "update_block.mask.2.bias": "mask.2.bias",
        "cnet.layer2.0.downsample.1.running_var": "cnet.layer2.0.downsample.1.running_var",
    }
    for theirs, ours in renamed.items():
        if prefix + theirs in state:
            assert torch.equal(found[ours], state[prefix + theirs])


def test_twin_norms_that_differ_are_an_error():
    state = golden.official_state("raft_large")
    state["module.cnet.layer2.0.norm3.bias"] = state["module.cnet.layer2.0.norm3.bias"] + 1
    with pytest.raises(FlowBenchError, match=r"'cnet\.layer2\.0\.norm3\.bias' and .*downsample.* are one norm"):
        from_princeton_raft(state)


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_lightflow_names_become_those_of_our_network(prefix):
    state = {prefix + name: tensor for name, tensor in golden.official_state("lightflow_w1").items()}
    found = from_lightflow(state)
    expected = {name: tensor.shape for name, tensor in LightFlow(predictor_activation=True).state_dict().items()}
    assert {name: tensor.shape for name, tensor in found.items()} == expected
    renamed = {
        "conv1.0.weight": "encoder.0.0.0.weight",
        "conv5b.4.running_var": "encoder.4.1.4.running_var",
        "conv8.3.weight": "decoder.1.3.weight",
        "conv11.1.bias": "decoder.4.1.bias",
        "conv12.4.bias": "predictors.0.4.bias",
    }
    for theirs, ours in renamed.items():
        assert torch.equal(found[ours], state[prefix + theirs])
    assert lightflow_width(state) == 1.0


def test_the_width_of_another_family_is_not_known():
    assert lightflow_width(golden.official_state("raft_small")) is None
