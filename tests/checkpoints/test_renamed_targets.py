"""Checkpoints that name classes as they were called when the checkpoints were written."""

import gzip
import json
import re
from pathlib import Path

import pytest
import torch
from support.checkpoints import save_ours
from support.runs import run

import flowbench
from flowbench.checkpoints.read import NEWEST_VERSION, VERSION
from flowbench.deq import IndexedCorrection, SegmentedCorrection
from flowbench.errors import FlowBenchError
from flowbench.targets import current

# A run's checkpoint of one step, as FlowBench wrote it before its modules moved; every weight made a constant of its own,
# and the optimiser's state left out, so that the file is small.
FORMAT_1 = Path(__file__).parent / "format_1" / "deltadeq_tiny.ckpt.gz"
EPE = 31.93645


@pytest.fixture
def format_1(tmp_path):
    checkpoint = tmp_path / "format_1.ckpt"
    checkpoint.write_bytes(gzip.decompress(FORMAT_1.read_bytes()))
    return checkpoint


def test_a_checkpoint_from_before_the_modules_moved_is_evaluated(format_1, tmp_path):
    settings = json.dumps(torch.load(format_1, weights_only=True)["hyper_parameters"])
    moved = {name for name in re.findall(r"flowbench[.\w]+", settings) if current(name) != name}
    assert {name.rpartition(".")[0] for name in moved} == {
        "flowbench.data.flownet_augmentation",
        "flowbench.data.photometric",
        "flowbench.data.raft_augmentation",
        "flowbench.data.synthetic",
        "flowbench.ops.delta",
        "flowbench.ops.fitting",
    }
    ended = run(
        "evaluate.py",
        f"ckpt={format_1}",
        f"hydra.run.dir={tmp_path / 'out'}",
        "data.workers=0",
        "iterations=3",
    )
    assert ended.code == 0, ended.stderr
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())["metrics"]
    # What the version that wrote it found.
    assert metrics["epe"] == pytest.approx(EPE, rel=1e-3)


def test_a_checkpoint_of_a_newer_format_is_refused(tmp_path):
    checkpoint = tmp_path / "newer.ckpt"
    torch.save({"state_dict": {}, VERSION: NEWEST_VERSION + 1}, checkpoint)
    with pytest.raises(
        FlowBenchError, match=rf"has format {NEWEST_VERSION + 1}, and this FlowBench reads formats 1 to"
    ):
        flowbench.load(checkpoint)


@pytest.mark.parametrize(
    ("choice", "old", "expected"),
    [
        ("sliced_v1", "flowbench.deq.Sliced", SegmentedCorrection(count=6, start="solved")),
        ("indexing", "flowbench.deq.corrections.Indexing", IndexedCorrection(count=6)),
    ],
)
def test_corrections_by_their_old_names(choice, old, expected, tmp_path):
    model = flowbench.load("deqflow_tiny", None, [f"corrections={choice}"])
    model.settings["model"]["network"]["deq"]["corrections"]["_target_"] = old
    again = flowbench.load(save_ours(model, tmp_path / "old.ckpt"))
    assert again.network.deq.corrections == expected
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor)
