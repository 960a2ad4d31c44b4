"""Checkpoints that name classes as they were called when the checkpoints were written."""

import pytest
import torch
from support.checkpoints import save_ours

import flowbench
from flowbench.deq import IndexedCorrection, SegmentedCorrection


@pytest.mark.parametrize(
    ("choice", "old", "expected"),
    [
        ("sliced_v1", "flowbench.deq.Sliced", SegmentedCorrection(count=6, start="solved")),
        ("indexing", "flowbench.deq.corrections.Indexing", IndexedCorrection(count=6)),
    ],
)
def test_corrections_by_their_old_names(choice, old, expected, tmp_path):
    model = flowbench.load("deqflow_tiny", overrides=[f"corrections={choice}"])
    model.settings["model"]["network"]["deq"]["corrections"]["_target_"] = old
    again = flowbench.load(save_ours(model, tmp_path / "old.ckpt"))
    assert again.network.deq.corrections == expected
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor)
