"""Runs that end by the clock, average their weights, or learn visible pixels first."""

import pytest
import torch
from support.runs import SMALL, rows, run_here

from flowbench.engine.train import train

FAST = ("model=fastflownet", *SMALL, "schedule.val_interval=2", "callbacks.progress=null", "callbacks.pictures=null")


def trained(folder, *words):
    ended = run_here(train, "train", *FAST, *words, f"hydra.run.dir={folder}")
    assert ended.code == 0, ended.told
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)


def test_the_average_is_saved_as_the_weights_and_validated(tmp_path):
    decay = 0.6
    first = trained(tmp_path / "one", "schedule.steps=1")["state_dict"]
    raw = trained(tmp_path / "raw", "schedule.steps=2")
    averaged = trained(tmp_path / "ema", "schedule.steps=2", f"schedule.ema={decay}")
    for name, second in raw["state_dict"].items():
        assert torch.equal(averaged["current_model_state"][name], second)
        expected = decay * first[name] + (1 - decay) * second
        torch.testing.assert_close(averaged["state_dict"][name], expected)
    metrics = [rows(tmp_path / name / "metrics.csv")[-1]["val/epe"] for name in ("raw", "ema")]
    assert metrics[0] != metrics[1]
    best = torch.load(tmp_path / "ema/checkpoints/best.ckpt", weights_only=True)
    assert all(torch.equal(value, averaged["state_dict"][name]) for name, value in best["state_dict"].items())


def test_a_run_ends_by_the_clock_with_the_rate_at_zero(tmp_path):
    # A tenth of a second: the limit has passed after a few of 1,000 steps, whatever the machine.
    last = trained(tmp_path / "run", "schedule.steps=1000", "schedule.val_interval=1000", "schedule.hours=3e-5")
    assert 0 < last["global_step"] < 500
    metrics = rows(tmp_path / "run/metrics.csv")
    assert float(metrics[-1]["val/epe"]) > 0
    (scheduler,) = last["lr_schedulers"]
    assert scheduler["elapsed"] >= 3600 * 3e-5
    assert last["optimizer_states"][0]["param_groups"][0]["lr"] == 0
    ended = run_here(train, "train", f"resume={tmp_path / 'run'}")
    assert ended.code == 1
    assert "has used its 3e-05 hours" in ended.told


def test_visible_first_leaves_occluded_pixels_out_of_the_loss_for_its_share_of_the_run(tmp_path):
    words = ("schedule.steps=4", "schedule.lr=1e-12", "data.scenes.max_displacement=400")
    losses = {}
    for share in ("null", "0.5"):
        folder = tmp_path / share
        trained(folder, *words, f"schedule.visible_first={share}")
        losses[share] = [float(row["train/loss"]) for row in rows(folder / "metrics.csv") if row["train/loss"]]
    # The weights stand still, so the losses differ by what is supervised alone.
    assert len(losses["null"]) == 4
    assert all(visible < everything for visible, everything in list(zip(losses["0.5"], losses["null"]))[:2])
    assert losses["0.5"][2:] == pytest.approx(losses["null"][2:], rel=1e-4)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("schedule.ema=1.5",), "schedule.ema=1.5: a decay between 0 and 1"),
        (("schedule.hours=0",), "schedule.hours=0: a number of hours above zero"),
        (("schedule.hours=-1",), "schedule.hours=-1: a number of hours above zero"),
        (("schedule.visible_first=2",), "schedule.visible_first=2: a share of the run"),
        (("schedule=s_long", "schedule.hours=1"), "schedule.hours"),
    ],
)
def test_senseless_options_are_refused(tmp_path, words, told):
    ended = run_here(train, "train", *FAST, *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 1
    assert told in ended.told


def test_a_checkpoint_is_due_after_some_minutes_too(tmp_path):
    """Every step takes longer than this interval, so last.ckpt and previous.ckpt are of successive steps."""
    words = ("schedule.steps=3", "callbacks.last.every_n_train_steps=1000")
    steps = {}
    for minutes in ("null", "1e-6"):
        folder = tmp_path / minutes
        trained(folder, *words, f"callbacks.last.every_n_minutes={minutes}")
        previous = folder / "checkpoints/previous.ckpt"
        steps[minutes] = torch.load(previous, weights_only=True)["global_step"] if previous.exists() else None
    assert steps == {"null": None, "1e-6": 2}
