"""How runs end: by a signal, by an error, by the loss of a process; and how they begin again."""

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from support.runs import NETWORK, SMALL, rows, run_here, start

from flowbench.engine.demo import DemoSettings
from flowbench.engine.run import Run
from flowbench.engine.train import train

SETTINGS = (*NETWORK, *SMALL, "schedule.steps=40", "schedule.val_interval=4", "callbacks.pictures=null")
PARALLEL = ("trainer.devices=2", "trainer.accelerator=cpu")


def checkpoint(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def status(folder):
    return json.loads((folder / "status.json").read_text())


def trained_steps(folder):
    """Of metrics.csv, without the learning rate of a step that was not made any more."""
    return [int(row["step"]) for row in rows(folder / "metrics.csv") if row["train/loss"]]


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def ended(process):
    stdout, stderr = process.communicate(timeout=100)
    return process.returncode, " ".join((stdout + stderr).split())


def other_process(first):
    """The further process of a run of two."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        parent = stat.read_text().rpartition(")")[2].split()[1]
        if parent == str(first.pid) and b"hydra.mode=RUN" in (stat.parent / "cmdline").read_bytes():
            return int(stat.parent.name)
    raise AssertionError("The run has no second process.")


@pytest.mark.slow
def test_a_run_stopped_by_a_signal_and_resumed_equals_an_unbroken_one(tmp_path):
    """The signal goes to all processes at once, that which loads the data included."""
    unbroken, stopped = tmp_path / "unbroken", tmp_path / "stopped"
    words = (*SETTINGS, "data.workers=1", f"hydra.run.dir={stopped}")
    process = start("train.py", *words, start_new_session=True)
    wait_for(stopped / "checkpoints/best.ckpt", process)
    os.killpg(process.pid, signal.SIGTERM)
    code, told = ended(process)

    step = checkpoint(stopped)["global_step"]
    assert code == 143, told
    assert f"SIGTERM: stopped after {step} of 40 steps in {stopped}; to go on: python train.py resume={stopped}" in told
    assert "Traceback" not in told
    assert 4 <= step < 40
    assert trained_steps(stopped) == list(range(step))
    written = status(stopped)
    assert (written["state"], written["signal"], written["step"]) == ("interrupted", "SIGTERM", step)
    assert f"resume={stopped}" in (stopped / "train.log").read_text()

    assert run_here(train, "train", *SETTINGS, f"hydra.run.dir={unbroken}").code == 0
    assert run_here(train, "train", f"resume={stopped}").code == 0
    assert (status(stopped)["state"], status(stopped)["step"]) == ("finished", 40)
    expected, found = checkpoint(unbroken), checkpoint(stopped)
    torch.testing.assert_close(found["state_dict"], expected["state_dict"], rtol=0, atol=0)
    torch.testing.assert_close(found["optimizer_states"], expected["optimizer_states"], rtol=0, atol=0)
    assert [row["train/loss"] for row in rows(stopped / "metrics.csv")] == [
        row["train/loss"] for row in rows(unbroken / "metrics.csv")
    ]


@pytest.mark.slow
def test_a_signal_to_one_of_two_processes_stops_both_at_one_step_and_the_sweep(tmp_path):
    """The processes are asked for by trainer.devices alone."""
    words = (*SETTINGS, *PARALLEL, "schedule.steps=100000", "seed=0,1")
    process = start("train.py", "-m", *words, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    job = tmp_path / "sweep" / "0"
    wait_for(job / "checkpoints/best.ckpt", process)
    os.kill(other_process(process), signal.SIGUSR1)
    code, told = ended(process)

    step = checkpoint(job)["global_step"]
    assert code == 128 + signal.SIGUSR1, told
    assert f"SIGUSR1: stopped after {step:,} of 100,000 steps" in told
    assert "Traceback" not in told
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir()) == ["0", "multirun.yaml"]
    assert trained_steps(job) == list(range(step))
    assert checkpoint(job)["callbacks"]["LastCheckpoint"] == {"processes": 2}
    assert json.loads((job / "provenance.json").read_text())["processes"] == 2

    # What is logged is the mean over both: two pairs each are four pairs of one process.
    one = tmp_path / "one"
    run_here(train, "train", *SETTINGS, "schedule.batch_size=4", "schedule.steps=1", f"hydra.run.dir={one}")
    (alone,) = rows(one / "metrics.csv")
    for name in ("train/loss", "train/epe"):
        assert float(rows(job / "metrics.csv")[0][name]) == pytest.approx(float(alone[name]), rel=1e-4)


@pytest.mark.slow
def test_a_process_that_is_killed_is_told_of_with_its_signal(tmp_path):
    process = start("train.py", *SETTINGS, *PARALLEL, "schedule.steps=100000", f"hydra.run.dir={tmp_path}")
    wait_for(tmp_path / "checkpoints/best.ckpt", process)
    os.kill(other_process(process), signal.SIGKILL)
    code, told = ended(process)
    assert code == 1
    assert "error: Process 1 of this run was killed by SIGKILL" in told
    assert "Traceback" not in told
    assert status(tmp_path)["why"].startswith("Process 1 of this run was killed by SIGKILL")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_outside_of_training_ends_a_program_in_one_line(name, tmp_path):
    signum = getattr(signal, name)

    def task(settings: DemoSettings, run: Run):
        os.kill(os.getpid(), signum)

    # A shell that starts the tests in the background lets them ignore SIGINT.
    before = signal.signal(signum, signal.SIG_DFL)
    try:
        ended = run_here(task, "demo", f"hydra.run.dir={tmp_path}")
        assert signal.getsignal(signum) == signal.SIG_DFL
    finally:
        signal.signal(signum, before)
    assert ended.code == 128 + signum
    assert ended.told == f"{name} ended the program."


@pytest.mark.parametrize(("signum", "lacking"), [(signal.SIGKILL, "memory"), (signal.SIGBUS, "(/dev/shm)")])
def test_a_data_loading_process_that_is_killed_is_a_sentence_with_the_remedy(signum, lacking, tmp_path):
    over = threading.Event()

    def kill():
        while not over.wait(0.02):
            if (tmp_path / "checkpoints/best.ckpt").exists() and (children := multiprocessing.active_children()):
                # The oldest loads the training pairs; one of the validation that has just ended would be missed by nobody.
                os.kill(min(child.pid for child in children), signum)
                return

    threading.Thread(target=kill, daemon=True).start()
    words = ("schedule.steps=2000", "data.workers=1", f"hydra.run.dir={tmp_path}")
    ended = run_here(train, "train", *SETTINGS, *words)
    over.set()
    assert ended.code == 1, ended.told
    assert ended.stderr.startswith(("error: A data-loading process ", "error: Shared memory (/dev/shm)"))
    assert lacking in ended.stderr
    assert "lower data.workers" in ended.stderr
    assert "Traceback" not in ended.told
    assert status(tmp_path)["state"] == "failed"
    assert ended.stderr == f"error: {status(tmp_path)['why']}\n"


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A run that ended by an error before its first checkpoint."""
    folder = tmp_path_factory.mktemp("failed")
    words = (*SETTINGS, "schedule.lr=1e30", f"hydra.run.dir={folder}")
    return run_here(train, "train", *words), folder


def test_the_error_that_ended_a_run_is_in_its_status(failed):
    ended, folder = failed
    assert ended.code == 1
    assert status(folder)["why"].startswith("The loss became nan at step 1")
    assert status(folder)["state"] == "failed"


def test_a_run_that_ended_before_its_first_checkpoint_starts_again(failed):
    _, folder = failed
    (folder / ".metrics.0123abcd.csv").write_text("of a killed process")
    (folder / ".mine.csv").write_text("of the user's")
    refused = run_here(train, "train", f"resume={folder}")
    assert refused.code == 1
    assert f"Start it again with the command that started it, and hydra.run.dir={folder}" in refused.told
    ended = run_here(train, "train", *SETTINGS, "schedule.steps=2", f"hydra.run.dir={folder}")
    assert ended.code == 0, ended.told
    assert len(rows(folder / "metrics.csv")) == 2
    assert status(folder)["state"] == "finished"
    assert not (folder / ".metrics.0123abcd.csv").exists()
    assert (folder / ".mine.csv").exists()
    again = run_here(train, "train", *SETTINGS, f"hydra.run.dir={folder}")
    assert f"continue that run with resume={folder}" in again.told


def test_two_programs_do_not_train_in_one_folder(tmp_path):
    with FileLock(tmp_path / ".lock"):
        ended = run_here(train, "train", *SETTINGS, f"hydra.run.dir={tmp_path}")
    assert ended.code == 1
    assert f"is training in '{tmp_path}': wait for its end, or choose another hydra.run.dir" in ended.told
    assert not (tmp_path / "config.yaml").exists()


def test_what_is_damaged_is_told_at_resume_and_the_checkpoint_before_is_taken(tmp_path):
    words = (*SETTINGS, "schedule.steps=3", "callbacks.last.every_n_train_steps=1")
    assert run_here(train, "train", *words, f"hydra.run.dir={tmp_path}").code == 0
    last, previous = (tmp_path / "checkpoints" / f"{name}.ckpt" for name in ("last", "previous"))
    assert checkpoint(tmp_path, "previous")["global_step"] == 2
    unbroken = checkpoint(tmp_path)
    config, metrics = (tmp_path / name for name in ("config.yaml", "metrics.csv"))
    sound_config, sound_metrics = config.read_text(), metrics.read_text()

    for damage in ("model: [raft", sound_config[: len(sound_config) // 4]):
        config.write_text(damage)
        ended = run_here(train, "train", f"resume={tmp_path}")
        assert f"{config} is damaged" in ended.told, ended.told
    config.write_text(sound_config)

    last.write_bytes(last.read_bytes()[:10_000])
    metrics.write_text(sound_metrics.replace("\n1,", "\n1x,"))
    ended = run_here(train, "train", f"resume={tmp_path}")
    assert f"{metrics} is damaged (invalid literal" in ended.told
    metrics.write_text(sound_metrics)

    # The attempt before has put the checkpoint before in place of the damaged one.
    assert not previous.exists()
    assert checkpoint(tmp_path)["global_step"] == 2
    assert run_here(train, "train", f"resume={tmp_path}").code == 0
    torch.testing.assert_close(checkpoint(tmp_path)["state_dict"], unbroken["state_dict"], rtol=0, atol=0)

    changed = checkpoint(tmp_path, "previous")
    changed["callbacks"]["LastCheckpoint"]["processes"] = 2
    torch.save(changed, last)
    ended = run_here(train, "train", f"resume={tmp_path}")
    assert ended.code == 1
    assert "The run was trained by 2 processes and is resumed by 1" in ended.told


@pytest.mark.slow
def test_a_signal_while_the_processes_find_each_other_ends_both_in_a_sentence(tmp_path):
    process = start("train.py", *SETTINGS, *PARALLEL, f"hydra.run.dir={tmp_path}")
    wait_for(tmp_path / "status.json", process)
    os.kill(process.pid, signal.SIGTERM)
    code, told = ended(process)

    assert code == 143, told
    assert f"SIGTERM: '{tmp_path}' ended before its first checkpoint; the same command starts it again." in told
    assert "Traceback" not in told
    assert status(tmp_path)["state"] == "interrupted"


def test_a_misspelt_monitor_is_refused_before_the_first_step(tmp_path):
    ended = run_here(train, "train", *SETTINGS, "callbacks.best.monitor=val/eep", f"hydra.run.dir={tmp_path}")
    assert ended.code == 1
    assert "callbacks.best.monitor=val/eep is no metric of this run's validation: choose one of val/1px, " in ended.told
    assert not (tmp_path / "metrics.csv").exists()


def test_processes_that_others_would_start_are_refused(tmp_path):
    words = ("trainer.devices=2", "+trainer.strategy=ddp_spawn", f"hydra.run.dir={tmp_path}")
    ended = run_here(train, "train", *SETTINGS, *words)
    assert ended.code == 1
    assert (
        "trainer.strategy=ddp_spawn starts processes of its own, which do not know this run: use trainer=ddp"
        in ended.told
    )
