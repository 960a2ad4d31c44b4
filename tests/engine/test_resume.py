"""A run that was killed and resumed equals one that was never stopped."""

import time

import pytest
import torch
from support.runs import NETWORK, SMALL, rows, run, run_here, start

from flowbench.engine.train import train

SETTINGS = (
    *NETWORK,
    *SMALL,
    "schedule.steps=24",
    "schedule.val_interval=4",
    "schedule.ema=0.9",
    "callbacks.last.every_n_train_steps=6",
)


def checkpoint(folder, name):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def killed_at(folder, step, *words):
    """Starts a run and kills it without warning once its last checkpoint is of that step or a later one."""
    process = start("train.py", *SETTINGS, *words, f"hydra.run.dir={folder}")
    last, seen = folder / "checkpoints/last.ckpt", 0
    try:
        while process.poll() is None:
            if last.exists() and last.stat().st_mtime_ns != seen:
                seen = last.stat().st_mtime_ns
                if checkpoint(folder, "last")["global_step"] >= step:
                    break
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    finally:
        process.kill()
        process.communicate()
    return checkpoint(folder, "last")["global_step"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    assert run_here(train, "train", *SETTINGS, f"hydra.run.dir={folder}").code == 0
    return folder


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """Its batches come from a process of their own, unlike those of the unbroken run."""
    folder = tmp_path_factory.mktemp("resumed")
    assert killed_at(folder, 12, "data.workers=1") < 24
    ended = run("train.py", f"resume={folder}")
    assert ended.code == 0, ended.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["last", "best"])
def test_resumed_checkpoints_are_the_same_bit_for_bit(unbroken, resumed, name):
    expected, found = checkpoint(unbroken, name), checkpoint(resumed, name)
    assert found["global_step"] == expected["global_step"]
    assert found["callbacks"] == expected["callbacks"]
    assert found["lr_schedulers"] == expected["lr_schedulers"]
    # The average of the weights, and the weights themselves.
    torch.testing.assert_close(found["state_dict"], expected["state_dict"], rtol=0, atol=0)
    torch.testing.assert_close(found["current_model_state"], expected["current_model_state"], rtol=0, atol=0)
    torch.testing.assert_close(found["optimizer_states"], expected["optimizer_states"], rtol=0, atol=0)


@pytest.mark.slow
def test_resumed_curves_are_the_same(unbroken, resumed):
    expected, found = rows(unbroken / "metrics.csv"), rows(resumed / "metrics.csv")
    assert [row["step"] for row in found] == [str(step) for step in range(24)]
    for row in (*expected, *found):
        assert row.pop("train/pairs_per_second")
    assert found == expected
    assert [int(row["step"]) + 1 for row in found if row["val/epe"]] == [4, 8, 12, 16, 20, 24]


@pytest.mark.slow
def test_nothing_is_doubled_in_the_folder(unbroken, resumed):
    def files(folder):
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".png", ".ckpt"))

    assert files(resumed) == files(unbroken)


def test_another_setting_is_refused(unbroken):
    ended = run_here(train, "train", f"resume={unbroken}", "seed=3")
    assert ended.code == 1
    assert "keeps its own settings, but seed=3 was given" in ended.told


def test_a_finished_run_is_refused(unbroken):
    ended = run_here(train, "train", f"resume={unbroken}")
    assert ended.code == 1
    assert "is complete (24 of 24 steps)" in ended.told
    assert "init=" in ended.told


def test_a_folder_without_checkpoint_is_refused(tmp_path):
    ended = run_here(train, "train", f"resume={tmp_path}")
    assert ended.code == 1
    assert "a run's folder with config.yaml and checkpoints/last.ckpt was expected" in ended.told
    assert not list(tmp_path.iterdir())
