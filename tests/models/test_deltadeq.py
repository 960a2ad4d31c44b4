import pytest
import torch
from support.checkpoints import save_ours
from support.models import short_model
from support.runs import SMALL, rows, run_here

from flowbench.engine.evaluate import evaluate
from flowbench.engine.train import train
from flowbench.ops.delta.convolution import Delta

SHORT = (
    "model.network.deq.solver.max_steps=4",
    "model.network.deq.corrections.count=2",
    "model.network.deq.eval_steps=5",
)


def test_a_run_trains_with_the_rule_and_its_checkpoint_knows_it(tmp_path):
    words = (*SHORT, *SMALL, "model=deltadeq_tiny", "schedule.steps=2", "schedule.val_interval=2")
    ended = run_here(train, "train", *words, "model.network.delta.threshold=0.02", f"hydra.run.dir={tmp_path}")
    assert ended.code == 0, ended.told
    contents = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert contents["hyper_parameters"]["model"]["network"]["delta"]["threshold"] == 0.02


def test_weights_of_deqflow_are_evaluated_without_training(tmp_path):
    path = save_ours(short_model("deqflow_tiny"), tmp_path / "deqflow.ckpt")
    words = ("model=deltadeq_tiny", f"+ckpt={path}", "data=synthetic", *SHORT[2:], "data.scenes.size=[64,64]")
    counted = ("data.counts.test=2", "data.workers=0", "model.network.count=true", f"hydra.run.dir={tmp_path / 'run'}")
    ended = run_here(evaluate, "evaluate", *words, *counted, "trainer.accelerator=cpu", "pictures=0")
    assert ended.code == 0, ended.told
    for row in rows(tmp_path / "run" / "per_sample.csv"):
        assert 0 < float(row["propagated"]) <= 1
        macs = [float(row[f"update_gmacs{kind}"]) for kind in ("", "_dense_shared", "_dense")]
        assert 0 < macs[0] < macs[1] < macs[2]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("model.network.delta.threshold=-1", "threshold=-1: give a number of at least 0."),
        ("model.network.delta.rule=tile", "model.network.delta.rule=tile: one of element, pixel is needed."),
        (
            "model/solver=anderson",
            "solver=Anderson: its steps mix states of the past, but a delta update follows one state; choose "
            "the solver damped or fixed_point.",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(word, told, tmp_path):
    words = ("model=deltadeq_tiny", *SMALL, "schedule.steps=1", word, f"hydra.run.dir={tmp_path}")
    ended = run_here(train, "train", *words)
    assert ended.code == 1
    assert " ".join(ended.stderr.split()) == f"error: {told}"


def test_an_evaluation_tells_the_rule():
    settings = short_model("deltadeq_tiny").estimate_settings()
    assert settings["delta"] == str(Delta(threshold=0.01, scale="relative"))
    assert settings["across_frames"] is False
