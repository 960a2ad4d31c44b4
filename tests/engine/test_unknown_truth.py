"""Ground truth that is known at no pixel: nothing can be learnt or measured, so it must not look like a loss of 0."""

import numpy as np
import pytest
from support.runs import rows, run_here

from flowbench.data.sample_trees import write_tree
from flowbench.engine.doctor import doctor
from flowbench.engine.evaluate import evaluate
from flowbench.engine.train import train
from flowbench.io import read_flow, write_flow

SHORT = (
    "model=raft_small",
    "model.network.iterations=1",
    "data=folder",
    "schedule=synthetic",
    "schedule.steps=2",
    "schedule.batch_size=1",
    "schedule.val_interval=2",
    "schedule.crop=[64,64]",
    "data.workers=0",
    "trainer.accelerator=cpu",
    "callbacks.pictures=null",
)


@pytest.fixture
def words(tmp_path):
    """Five pairs, of which the second's flow is known nowhere."""
    write_tree("folder", tmp_path / "own", pairs=5, size=(72, 88))
    file = tmp_path / "own/flow/video_2/1.flo"
    flow, _ = read_flow(file)
    write_flow(file, flow, np.zeros(flow.shape[:2], bool))
    return [f"data.images='{tmp_path}/own/frames/*/*.png'", f"data.flow='{tmp_path}/own/flow/*/*.flo'"]


def test_training_ends_at_such_a_pair_or_passes_over_it(words, tmp_path):
    shares = ("data.validation_share=0.4", "schedule.steps=3")
    ended = run_here(train, "train", *SHORT, *words, *shares, f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 1
    assert f"{tmp_path}/own/flow/video_2/1.flo: the flow of pair folder/video_2/1 is known at no pixel" in ended.told
    folder = tmp_path / "skip"
    ended = run_here(train, "train", *SHORT, *words, *shares, "data.on_error=skip", f"hydra.run.dir={folder}")
    assert ended.code == 0, ended.told
    assert "folder/video_2/1 is known at no pixel" in (folder / "skipped.txt").read_text()
    words = (
        "pictures=0",
        "iterations=1",
        "split=train",
        "trainer.accelerator=cpu",
        f"hydra.run.dir={tmp_path / 'evaluated'}",
    )
    ended = run_here(evaluate, "evaluate", f"+ckpt={folder / 'checkpoints/last.ckpt'}", *words)
    assert ended.code == 1
    assert "the flow of pair folder/video_2/1 is known at no pixel" in ended.told


def test_the_doctor_lists_such_files(words, tmp_path):
    ended = run_here(doctor, "doctor", "data=folder", *words, "workers=0", f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 1
    (problem,) = rows(tmp_path / "run/problems.csv")
    assert problem["file"] == f"{tmp_path}/own/flow/video_2/1.flo"
    assert problem["problem"].startswith("no pixel's flow is known")
