"""Batch norm through train.py: its statistics move on Chairs alone, and in no process of any later stage."""

import pytest
import torch
from support.runs import SMALL, TWO_PROCESSES, run, run_here
from torch import Tensor

from flowbench.data.sample_trees import write_tree
from flowbench.engine.train import train

SHORT = (
    "model=raft",
    "model.network.iterations=1",
    "schedule.batch_size=2",
    "schedule.steps=2",
    "data.workers=0",
    "callbacks.pictures=null",
    "trainer.accelerator=cpu",
)
# A validation between the two steps, after which Lightning sets the modes of all modules again.
THINGS = (*SHORT, *SMALL, "schedule=things_1x", "schedule.crop=null", "schedule.val_interval=1", "data.counts.val=2")


def statistics(folder) -> dict[str, Tensor]:
    state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    names = ("running_mean", "running_var", "num_batches_tracked")
    return {name: value for name, value in state.items() if name.endswith(names)}


def assert_fresh(folder) -> None:
    """As PyTorch initialises them."""
    found = statistics(folder)
    assert len(found) > 30
    for name, value in found.items():
        assert torch.equal(value, torch.full_like(value, name.endswith("running_var"))), name


def test_frozen_statistics_stay_through_steps_validation_and_resume(tmp_path):
    ended = run_here(train, "train", *THINGS, f"hydra.run.dir={tmp_path}")
    assert ended.code == 0, ended.told
    assert_fresh(tmp_path)
    # As a run that was stopped half-way: it goes on from its second step.
    config = tmp_path / "config.yaml"
    config.write_text(config.read_text().replace("  steps: 2\n", "  steps: 4\n"))
    resumed = run_here(train, "train", f"resume={tmp_path}")
    assert resumed.code == 0, resumed.told
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 4
    assert_fresh(tmp_path)


@pytest.mark.slow
def test_frozen_statistics_stay_in_every_process(tmp_path):
    ended = run("train.py", *THINGS, *TWO_PROCESSES, f"hydra.run.dir={tmp_path}")
    assert ended.code == 0, ended.stderr
    assert_fresh(tmp_path)


def test_statistics_move_on_chairs(tmp_path):
    write_tree("chairs", tmp_path / "chairs", pairs=2, size=(80, 96))
    words = (*SHORT, "data=chairs", f"paths.chairs={tmp_path / 'chairs'}", "schedule.crop=[64,64]")
    ended = run_here(train, "train", *words, "data.protocol.updates=1", f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 0, ended.told
    counts = {value.item() for name, value in statistics(tmp_path / "run").items() if name.endswith("tracked")}
    assert counts == {2}
