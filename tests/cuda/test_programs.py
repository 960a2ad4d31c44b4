"""The programs on a graphics card, as a user starts them: train, resume, evaluate, predict, benchmark."""

import json
import math
import time

import numpy as np
import pytest
from support.runs import ROOT, rows, run, run_here, start

from flowbench.engine.benchmark import benchmark
from flowbench.engine.evaluate import evaluate
from flowbench.engine.predict import predict
from flowbench.io import read_flow

FRAMES = ROOT / "assets" / "sintel"
STEPS = 24
SHORT = (
    "data.scenes.size=[64,64]",
    "data.counts={train: 8, val: 2, test: 2}",
    "data.workers=1",
    "schedule.batch_size=2",
    f"schedule.steps={STEPS}",
    "schedule.val_interval=8",
    "callbacks.last.every_n_train_steps=2",
    "trainer.log_every_n_steps=1",
)
NETWORKS = {
    "raft_small": ("model=raft_small", "model.network.iterations=2", "model.network.eval_iterations=2"),
    "deqflow_tiny": (
        "model=deqflow_tiny",
        "model.network.deq.solver.max_steps=3",
        "model.network.deq.eval_steps=3",
        "model.network.deq.corrections.count=1",
    ),
}


@pytest.fixture(scope="module")
def accelerator(device):
    return f"trainer.accelerator={'gpu' if device.type == 'cuda' else device.type}"


@pytest.fixture(scope="module", params=[("raft_small", "16-mixed"), ("deqflow_tiny", "bf16-mixed")], ids=str)
def trained(request, accelerator, tmp_path_factory):
    """A run that was killed between two checkpoints, and resumed."""
    name, precision = request.param
    folder = tmp_path_factory.mktemp(name)
    words = (*NETWORKS[name], *SHORT, accelerator, f"trainer.precision={precision}", f"hydra.run.dir={folder}")
    process = start("train.py", *words)
    try:
        while process.poll() is None and not (folder / "checkpoints" / "last.ckpt").exists():
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    finally:
        process.kill()
        process.communicate()
    ended = run("train.py", f"resume={folder}", seconds=200)
    assert ended.code == 0, ended.told
    return folder


def test_a_resumed_run_has_every_step_and_its_figures_are_numbers(trained):
    table = rows(trained / "metrics.csv")
    assert [row["step"] for row in table] == [str(step) for step in range(STEPS)]
    assert all(math.isfinite(float(row["train/loss"])) for row in table)
    assert [int(row["step"]) + 1 for row in table if row["val/epe"]] == [8, 16, 24]
    # A scaler begins with a scale at which gradients overflow, and leaves these steps out.
    assert math.isfinite(float(table[-1]["train/grad_norm"]))
    assert float(table[-1]["train/loss"]) < float(table[0]["train/loss"])


def test_its_checkpoint_is_evaluated_and_step_limits_are_timed(trained, accelerator, tmp_path):
    words = (f"+ckpt={trained / 'checkpoints/best.ckpt'}", accelerator, "iterations=[1,2]", f"hydra.run.dir={tmp_path}")
    ended = run_here(evaluate, "evaluate", *words)
    assert ended.code == 0, ended.told
    assert math.isfinite(json.loads((tmp_path / "metrics.json").read_text())["metrics"]["epe"])
    assert all(float(row["seconds_per_pair"]) > 0 for row in rows(tmp_path / "steps.csv"))
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize("precision", ["32", "bf16", "16"])
def test_its_checkpoint_predicts_frames_with_a_warm_start(trained, device, precision, tmp_path):
    words = (f"+ckpt={trained / 'checkpoints/last.ckpt'}", f"input={FRAMES}", "warm_start=true", "backward=true")
    ended = run_here(
        predict, "predict", *words, f"device={device}", f"precision={precision}", f"hydra.run.dir={tmp_path}"
    )
    assert ended.code == 0, ended.told
    written = sorted((tmp_path / "flow").glob("*.flo"))
    assert len(written) == 2
    assert all(np.isfinite(read_flow(path)[0]).all() for path in written)


def test_time_and_memory_are_measured(device, tmp_path):
    words = ("model=raft_small", "iterations=2", "size=[128,128]", "training=true", "precision=[32,bf16]", "repeats=2")
    ended = run_here(benchmark, "benchmark", *words, f"device={device}", f"hydra.run.dir={tmp_path}")
    assert ended.code == 0, ended.told
    table = rows(tmp_path / "benchmark.csv")
    assert [(row["precision"], row["mode"]) for row in table] == [
        *(
            ("32-true", "forward"),
            ("32-true", "training_step"),
            ("bf16-mixed", "forward"),
            ("bf16-mixed", "training_step"),
        )
    ]
    for row in table:
        assert float(row["median (ms)"]) > 0
        assert float(row["memory (MiB)"]) > 0
