"""What an evaluation writes agrees with itself, however the pairs are batched."""

import hashlib
import json

import pytest
import torch
from support.runs import NETWORK, SMALL, rows, run_here

from flowbench.engine.evaluate import evaluate
from flowbench.engine.train import train


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    words = (*NETWORK, *SMALL, "schedule.steps=1", "schedule.val_interval=1", "data.counts.test=7")
    assert run_here(train, "train", *words, f"hydra.run.dir={folder}").code == 0
    return folder / "checkpoints/best.ckpt"


def evaluated(folder, *words):
    ended = run_here(evaluate, "evaluate", f"hydra.run.dir={folder}", *words)
    assert ended.code == 0, ended.told
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def folder(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    evaluated(folder, f"+ckpt={checkpoint}", "pictures=2")
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_settings_hold_what_changes_the_numbers(found, checkpoint):
    expected = {
        "model": "raft_small",
        "checkpoint sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "data": "synthetic",
        "split": "test",
        "pairs": 7,
        "steps": 2,
        "precision": "32-true",
        "processes": 1,
    }
    assert found["settings"] | expected == found["settings"]
    assert "sintel" in found["settings"]["padder"]


def test_figures_of_samples_and_sequences_give_those_of_the_whole(folder, found):
    samples = rows(folder / "per_sample.csv")
    assert [row["index"] for row in samples] == [str(index) for index in range(7)]
    mean = sum(float(row["epe"]) for row in samples) / len(samples)
    assert mean == pytest.approx(found["metrics"]["epe_per_image"], rel=1e-9)
    (sequence,) = rows(folder / "per_sequence.csv")
    del sequence["sequence"]
    figures = {name: float(figure) for name, figure in sequence.items() if figure}
    assert figures == pytest.approx(found["metrics"], rel=1e-9)


def test_pictures_and_report_show_the_worst_and_the_best(folder, found):
    names = {path.name for path in (folder / "pictures").iterdir()}
    assert names == {f"{group}_{place}.png" for group in ("worst", "median", "best") for place in (1, 2)}
    report = (folder / "report.html").read_text()
    errors = sorted(float(row["epe"]) for row in rows(folder / "per_sample.csv"))
    for error in (errors[0], errors[-1]):
        assert f"EPE {error:.3f} px" in report
    assert found["settings"]["checkpoint sha256"] in report


def test_an_unequal_last_batch_changes_nothing(folder, found, checkpoint, tmp_path):
    batched = evaluated(tmp_path, f"+ckpt={checkpoint}", "pictures=0", "+data.eval_batch_size=3")
    assert batched["metrics"] == pytest.approx(found["metrics"], rel=1e-4)
    for one, other in zip(rows(folder / "per_sample.csv"), rows(tmp_path / "per_sample.csv"), strict=True):
        assert one["key"] == other["key"]
        assert float(one["epe"]) == pytest.approx(float(other["epe"]), rel=1e-3)


def test_steps_and_split_are_those_that_were_asked_for(found, checkpoint, tmp_path):
    other = evaluated(tmp_path, f"+ckpt={checkpoint}", "pictures=0", "iterations=3", "split=val")
    assert (other["settings"]["steps"], other["settings"]["split"], other["settings"]["pairs"]) == (3, "val", 4)
    keys = [row["key"] for row in rows(tmp_path / "per_sample.csv")]
    assert all(key.startswith("synthetic/val/") for key in keys)
    same = evaluated(tmp_path / "same", f"+ckpt={checkpoint}", "pictures=0", "iterations=3")
    assert same["metrics"]["zero_epe"] == found["metrics"]["zero_epe"]
    assert same["metrics"]["epe"] != found["metrics"]["epe"]


def test_an_official_checkpoint_needs_its_model_and_the_data(found, checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    official = tmp_path / "raft-small.pth"
    torch.save({name.replace("network.", "module.", 1): value for name, value in state.items()}, official)
    words = ("data=synthetic", "data.scenes.size=[64,64]", "data.counts.test=7", "data.workers=0", "pictures=0")
    theirs = evaluated(tmp_path, f"+ckpt={official}", *NETWORK, *words)
    assert theirs["metrics"] == found["metrics"]
