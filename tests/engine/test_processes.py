"""Several processes for one run, several runs in one sweep."""

import json
import time

import pytest
import torch
from support.runs import NETWORK, SMALL, TWO_PROCESSES, rows, run, run_here, start

from flowbench.engine.evaluate import evaluate

# An odd number of pairs: the shares of two processes differ.
SETTINGS = (*NETWORK, *SMALL, "data.counts.val=5", "schedule.steps=2", "schedule.val_interval=2")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two jobs of two processes each."""
    folder = tmp_path_factory.mktemp("sweep") / "own"
    words = (*SETTINGS, *TWO_PROCESSES, "seed=0,1", f"hydra.sweep.dir={folder}")
    return run("train.py", "-m", *words), folder


@pytest.mark.slow
def test_a_sweep_of_several_processes_has_one_folder_with_a_job_each(sweep):
    ended, folder = sweep
    assert ended.code == 0, ended.stderr
    assert "Warning" not in ended.stderr
    assert ended.told.count("2 steps of raft_small on synthetic") == 2
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1", "multirun.yaml"]
    for job in "01":
        table = rows(folder / job / "metrics.csv")
        assert [row["step"] for row in table] == ["0", "1"]
        assert torch.load(folder / job / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 2
    first, second = (rows(folder / job / "metrics.csv")[0]["train/loss"] for job in "01")
    assert first != second


@pytest.mark.slow
def test_each_pair_counts_once_however_many_processes_share_them(sweep, tmp_path):
    _, folder = sweep
    best = folder / "0" / "checkpoints/best.ckpt"
    words = (f"+ckpt={best}", "split=val", "iterations=[1,2]", "pictures=0")
    assert run_here(evaluate, "evaluate", *words, f"hydra.run.dir={tmp_path / 'one'}").code == 0
    ended = run("evaluate.py", *words, *TWO_PROCESSES, f"hydra.run.dir={tmp_path / 'two'}")
    assert ended.code == 0, ended.stderr
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two"))
    assert (one["settings"].pop("processes"), two["settings"].pop("processes")) == (1, 2)
    assert one["settings"] == two["settings"]
    assert one["metrics"] == pytest.approx(two["metrics"], rel=1e-6)
    trained = {
        name: float(figure)
        for name, figure in rows(folder / "0" / "metrics.csv")[1].items()
        if "val/" in name and figure
    }
    assert trained == pytest.approx({f"val/{name}": figure for name, figure in one["metrics"].items()}, rel=1e-6)
    samples = [rows(tmp_path / name / "per_sample.csv") for name in ("one", "two")]
    assert samples[0] == samples[1]
    assert [row["index"] for row in samples[0]] == list("01234")
    assert rows(tmp_path / "one" / "per_sequence.csv") == rows(tmp_path / "two" / "per_sequence.csv")
    one, two = (rows(tmp_path / name / "steps.csv") for name in ("one", "two"))
    assert [row["iterations"] for row in one] == ["1", "2"]
    for ours, theirs in zip(one, two, strict=True):
        assert float(ours["epe"]) == pytest.approx(float(theirs["epe"]), rel=1e-6)
        assert ours["steps"] == theirs["steps"]


@pytest.mark.slow
def test_a_failure_in_one_process_ends_all_of_them(tmp_path):
    begin = time.monotonic()
    words = (*SETTINGS, *TWO_PROCESSES, "schedule.lr=1e30", "schedule.steps=9", f"hydra.run.dir={tmp_path}")
    ended = run("train.py", *words)
    assert ended.code == 1
    assert "The loss became nan at step 1" in ended.told
    assert "Traceback" not in ended.told
    assert time.monotonic() - begin < 40


@pytest.mark.slow
def test_no_process_outlives_the_first(tmp_path):
    process = start("train.py", *SETTINGS, *TWO_PROCESSES, "schedule.steps=100000", f"hydra.run.dir={tmp_path}")
    while not list(tmp_path.glob("checkpoints/best.ckpt")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.kill()
    # The other process holds the same pipes: they close when it ends, too.
    process.communicate(timeout=20)


@pytest.mark.slow
def test_fewer_pairs_than_processes_are_refused(tmp_path):
    ended = run("train.py", *SETTINGS, *TWO_PROCESSES, "data.counts.val=1", f"hydra.run.dir={tmp_path}")
    assert ended.code == 1
    assert "2 processes cannot share out 1 of the pairs of 'synthetic'" in ended.told


@pytest.mark.slow
def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path):
    words = (*SETTINGS, "schedule.steps=1")
    running = [start("train.py", *words, cwd=tmp_path) for _ in range(2)]
    for process in running:
        _, stderr = process.communicate(timeout=100)
        assert process.returncode == 0, stderr
    folders = list((tmp_path / "outputs/train").iterdir())
    assert len(folders) == 2
    assert all((folder / "checkpoints/last.ckpt").is_file() for folder in folders)


@pytest.mark.slow
def test_a_sweep_over_models_goes_on_after_a_job_that_failed(tmp_path):
    words = (
        "model=raft,raft_small",
        "model.network.iterations=2",
        "model.network.eval_iterations=2",
        "schedule.crop=[128,128],null",
    )
    ended = run("train.py", "-m", *SMALL, *words, "schedule.steps=1", f"hydra.sweep.dir={tmp_path}")
    assert ended.code == 1
    assert "error: 2 of 4 jobs failed: #0 model=raft schedule.crop=[128,128]: The crop of" in ended.told
    assert "Traceback" not in ended.told
    for job in "02":
        assert "The crop of 128x128" in (tmp_path / job / "train.log").read_text()
    # Each is told of at once, and again at the end.
    assert ended.told.count("The crop of 128x128") == 4
    jobs = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert jobs == set("0123")
    done = {job for job in jobs if (tmp_path / job / "checkpoints/last.ckpt").is_file()}
    assert done == {"1", "3"}
