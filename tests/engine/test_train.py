"""What a training run leaves behind, and what it says when it cannot go on."""

import json

import numpy as np
import pytest
import torch
import yaml
from support.runs import NETWORK, SMALL, rows, run, run_here
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from flowbench.engine.evaluate import evaluate
from flowbench.engine.train import train
from flowbench.io.image import read_image

SECRET = "hidden-7f3a91"
SETTINGS = (*NETWORK, *SMALL, "schedule.steps=4", "schedule.val_interval=2")


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "own"
    words = ("logger=tensorboard", "+logger.tensorboard.comment=${oc.env:ACCOUNT_KEY}", f"hydra.run.dir={folder}")
    ended = run("train.py", *SETTINGS, *words, env={"ACCOUNT_KEY": SECRET})
    assert ended.code == 0, ended.stderr
    return ended, folder


@pytest.fixture(scope="module")
def folder(ended):
    return ended[1]


def test_the_folder_tells_what_the_run_was(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["data"]["scenes"]["size"] == [64, 64]
    assert config["schedule"]["optimisation"]["optimizer"]["lr"] == config["schedule"]["lr"]
    provenance = json.loads((folder / "provenance.json").read_text())
    # Wheels name their build, such as +cpu, in one place or in both.
    assert provenance["packages"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert provenance["pairs"]["val"] == 4
    assert "schedule.steps=4" in provenance["command"]


def test_no_file_holds_a_secret_from_the_environment(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert not [path for path in files if SECRET.encode() in path.read_bytes() or SECRET in path.name]
    assert "${oc.env:ACCOUNT_KEY}" in (folder / "config.yaml").read_text()


def test_every_step_has_a_row_and_validations_have_theirs(folder):
    table = rows(folder / "metrics.csv")
    assert [row["step"] for row in table] == ["0", "1", "2", "3"]
    for name in ("train/loss", "train/epe", "train/grad_norm", "train/pairs_per_second", "lr-AdamW"):
        assert all(float(row[name]) > 0 for row in table), name
    assert [bool(row["val/epe"]) for row in table] == [False, True, False, True]
    assert table[1]["val/zero_epe"] == table[3]["val/zero_epe"]


def test_what_is_logged_now_and_then_is_of_the_logged_step(folder, tmp_path):
    words = (*SETTINGS, "trainer.log_every_n_steps=2", f"hydra.run.dir={tmp_path}")
    assert run_here(train, "train", *words).code == 0
    every, second = rows(folder / "metrics.csv"), rows(tmp_path / "metrics.csv")
    assert [row["step"] for row in second] == ["1", "3"]
    for name in ("train/loss", "train/grad_norm", "lr-AdamW"):
        assert [row[name] for row in second] == [every[1][name], every[3][name]]


def test_pictures_follow_each_validation(folder):
    names = sorted(path.name for path in (folder / "pictures").iterdir())
    assert names == ["step_0000002.png", "step_0000004.png"]
    before, after = (read_image(folder / "pictures" / name) for name in names)
    assert before.shape == after.shape
    assert np.any(before != after)


def test_a_run_that_is_shorter_than_its_intervals_has_both_checkpoints(tmp_path):
    words = (*SETTINGS, "schedule.steps=2", "schedule.val_interval=100", f"hydra.run.dir={tmp_path}")
    assert run_here(train, "train", *words).code == 0
    for name in ("last", "best"):
        assert torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", weights_only=True)["global_step"] == 2


def plain(value):
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(entry) for key, entry in value.items())
    if isinstance(value, list):
        return all(plain(entry) for entry in value)
    return value is None or type(value) in (str, int, float, bool)


def test_checkpoints_hold_plain_settings_and_are_enough_to_evaluate(folder, tmp_path):
    contents = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    # The folders of data sets follow the environment of whoever reads the checkpoint.
    roots = {name: root for name, root in config["paths"].items() if "${" not in str(root)}
    settings = {"model": config["model"], "data": config["data"], "paths": roots, "training_size": [64, 64]}
    assert contents["hyper_parameters"] == settings
    assert plain(contents["hyper_parameters"])
    best = f"+ckpt={folder / 'checkpoints/best.ckpt'}"
    ended = run_here(evaluate, "evaluate", best, "split=val", "pictures=0", f"hydra.run.dir={tmp_path}")
    assert ended.code == 0, ended.stderr
    figures = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    step = contents["global_step"] - 1
    assert figures["epe"] == pytest.approx(float(rows(folder / "metrics.csv")[step]["val/epe"]), rel=1e-6)


def test_tensorboard_has_the_curves_and_the_panel(folder):
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [0, 1, 2, 3]
    assert [event.step for event in events.Images("val/pictures")] == [2, 4]


def test_lightning_keeps_its_hints_to_itself(ended):
    told = ended[0].told
    assert "4 steps of raft_small on synthetic" in told
    for word in ("GPU available", "Tip:", "deprecated", "Trainer.fit", "weights_only", "num_workers", "Warning"):
        assert word not in told


@pytest.mark.slow
def test_wandb_without_an_account_runs_offline_for_each_job_of_a_sweep(tmp_path):
    sweep = tmp_path / "sweep"
    words = (*SETTINGS, "schedule.steps=2", "logger=wandb", "seed=0,1", f"hydra.sweep.dir={sweep}")
    environment = {"HOME": str(tmp_path), "WANDB_MODE": None, "WANDB_API_KEY": None}
    ended = run("train.py", "-m", *words, env=environment)
    assert ended.code == 0, ended.stderr
    runs = [list((sweep / job / "wandb").glob("offline-run-*")) for job in "01"]
    assert [len(found) for found in runs] == [1, 1]
    names = [path.name.rpartition("-")[2] for (path,) in runs]
    assert names[0] != names[1]
    for (path,) in runs:
        assert list(path.glob("files/media/images/val/pictures*.png"))
        assert list(path.glob("*.wandb"))


@pytest.mark.parametrize("precision", ["bf16-mixed", "32"])
def test_precision_changes_the_arithmetic_alone(folder, tmp_path, precision):
    words = (*SETTINGS, "schedule.steps=1", f"trainer.precision={precision}", f"hydra.run.dir={tmp_path}")
    assert run_here(train, "train", *words).code == 0
    expected, found = (float(rows(path / "metrics.csv")[0]["train/loss"]) for path in (folder, tmp_path))
    assert found == pytest.approx(expected, rel=0.05)
    assert (found == expected) is (precision == "32")


def test_a_loss_that_is_not_finite_names_the_step_and_the_samples(tmp_path):
    ended = run_here(train, "train", *SETTINGS, "schedule.lr=1e30", f"hydra.run.dir={tmp_path}")
    assert ended.code == 1
    assert "The loss became nan at step 1, on the samples synthetic/train/" in ended.told
    assert not (tmp_path / "checkpoints/last.ckpt").exists()
    assert [bool(row["train/loss"]) for row in rows(tmp_path / "metrics.csv")] == [True, False]


def test_accumulated_batches_count_as_one_step(tmp_path):
    words = (*SETTINGS, "trainer.accumulate_grad_batches=2", "schedule.batch_size=1", f"hydra.run.dir={tmp_path}")
    assert run_here(train, "train", *words).code == 0
    table = rows(tmp_path / "metrics.csv")
    assert [bool(row["val/epe"]) for row in table] == [False, True, False, True]
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 4
