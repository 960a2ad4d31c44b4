"""torchvision's RAFT: its weights, by its own names, give its own flow."""

import json

import pytest
import torch
from support import golden

import flowbench
from flowbench.checkpoints.official import from_princeton_raft
from flowbench.checkpoints.torchvision_raft import from_torchvision_raft
from flowbench.networks import raft

NAMES = {"raft": "torchvision_raft_large", "raft_small": "torchvision_raft_small"}


def torchvision_state(model):
    described = json.loads((golden.GOLDEN / "models" / f"{model}.json").read_text())
    return {
        name: torch.zeros(shape, dtype=torch.int64) if dtype == "int64" else golden.filled(name, shape)
        for name, shape, dtype in described["state_dict"]
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_name_finds_its_place(name):
    found = from_torchvision_raft(torchvision_state(NAMES[name]))
    expected = getattr(raft, name)().state_dict()
    assert {key: tensor.shape for key, tensor in found.items()} == {
        key: tensor.shape for key, tensor in expected.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_flow_is_torchvisions(name, tmp_path):
    path = tmp_path / f"{NAMES[name]}-00000000.pth"
    torch.save(torchvision_state(NAMES[name]), path)
    case = golden.case(f"{NAMES[name]}_12")
    model = flowbench.load(name, path, [f"network.eval_iterations={case['updates']}"])
    flow = model.estimate(*(golden.image(image, torch.float32) for image in ("A_1", "A_2"))).flow
    expected = golden.array(f"{NAMES[name]}_12/A_flow_up.npy")
    assert flow.mean().item() == pytest.approx(case["f32"]["mean"], abs=case["tolerance"]["f32"])
    torch.testing.assert_close(
        flow[0, :, ::2, ::2], expected.reshape(2, *expected.shape[-2:]), rtol=0, atol=case["tolerance"]["f32"]
    )


def test_princetons_weights_are_not_taken_for_torchvisions():
    state = golden.official_state("raft_small")
    assert from_princeton_raft(state).keys() == raft.raft_small().state_dict().keys()
