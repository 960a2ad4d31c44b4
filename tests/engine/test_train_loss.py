"""The loss of a training run, as train.py computes and logs it."""

import pytest
from support.runs import SMALL, rows, run_here

from flowbench.engine.train import train
from flowbench.objectives import SequenceLoss

SHORT = ("schedule.steps=2", "schedule.val_interval=2", "callbacks.pictures=null")


def test_the_terms_of_the_loss_are_computed_once_a_step(monkeypatch, tmp_path):
    steps, terms = [], SequenceLoss.terms

    def counted(self, output, batch):
        steps.append(batch.key)
        return terms(self, output, batch)

    monkeypatch.setattr(SequenceLoss, "terms", counted)
    deq = ("model=deqflow_tiny", "model.network.deq.solver.max_steps=4", "model.network.deq.corrections.count=2")
    ended = run_here(train, "train", *deq, *SMALL, *SHORT, f"hydra.run.dir={tmp_path}")
    assert ended.code == 0, ended.told
    assert len(steps) == 2
    for row in rows(tmp_path / "metrics.csv"):
        first, last = float(row["train/loss_1"]), float(row["train/loss_2"])
        assert float(row["train/loss"]) == pytest.approx(0.8 * first + last, rel=1e-6)
