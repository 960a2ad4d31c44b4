"""Thresholds of the delta rule compared in a real evaluation, on the weights of a DEQ-Flow."""

import pytest
import torch
from support.checkpoints import save_ours
from support.hydra import composed
from support.runs import rows, run_here

from flowbench.configs import resolved
from flowbench.engine.config.models import build_model
from flowbench.engine.evaluate import evaluate
from flowbench.engine.evaluation.settings import EvaluateSettings
from flowbench.errors import FlowBenchError

SCENES = ("data.scenes.size=[64,64]", "data.counts.test=3", "data.workers=0")


def saved(model, folder):
    torch.manual_seed(0)
    config = composed("train", f"model={model}", *SCENES)
    return save_ours(build_model(config.model), folder / f"{model}.ckpt", data=resolved(config.data))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return saved("deqflow_tiny", tmp_path_factory.mktemp("deqflow"))


def evaluated(checkpoint, folder, *words):
    words = (f"+ckpt={checkpoint}", "trainer.accelerator=cpu", "pictures=0", f"hydra.run.dir={folder}", *words)
    return run_here(evaluate, "evaluate", *words)


@pytest.fixture(scope="module")
def compared(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    ended = evaluated(checkpoint, folder, "model=deltadeq_tiny", "threshold=[0.3,0]", "iterations=6", "figures=pdf")
    assert ended.code == 0, ended.told
    return ended, folder


def test_each_threshold_has_a_row_after_the_dense_solve(compared):
    dense, exact, rough = rows(compared[1] / "thresholds.csv")
    assert [row["threshold"] for row in (dense, exact, rough)] == ["dense", "0.0", "0.3"]
    # Nothing but exact equals is left out at 0.
    assert float(exact["epe"]) == pytest.approx(float(dense["epe"]), rel=1e-4)
    assert float(rough["epe"]) != float(dense["epe"])
    assert dense["propagated"] == ""
    assert float(rough["propagated"]) < float(exact["propagated"]) <= 1
    for row in (exact, rough):
        share = float(row["propagated_gmacs"]) / float(row["dense_gmacs"])
        assert share == pytest.approx(float(row["propagated"]), rel=1e-3)
    assert all(float(row["seconds_per_pair"]) > 0 and float(row["steps"]) == 6 for row in (dense, exact, rough))


def test_terminal_and_report_have_the_trade_off(compared):
    ended, folder = compared
    report = (folder / "report.html").read_text()
    assert "<h2>Thresholds</h2>" in report
    assert "multiplications of the update (10^9 per pair), by threshold" in report
    assert "thresholds" in ended.told
    assert not (folder / "steps.csv").exists()


def test_a_single_threshold_is_set_and_not_compared(checkpoint, compared, tmp_path):
    ended = evaluated(checkpoint, tmp_path, "model=deltadeq_tiny", "threshold=0.3", "iterations=6")
    assert ended.code == 0, ended.told
    assert not (tmp_path / "thresholds.csv").exists()
    rough = rows(compared[1] / "thresholds.csv")[-1]
    epe = [float(row["epe"]) for row in rows(tmp_path / "per_sample.csv")]
    assert sum(epe) / len(epe) == pytest.approx(float(rough["epe"]), rel=1e-6)


def test_what_has_no_delta_rule_says_so(checkpoint, tmp_path):
    ended = evaluated(checkpoint, tmp_path, "threshold=[0,0.1]")
    assert ended.code == 1
    assert "deqflow_tiny has no delta rule: leave threshold out, or choose a model=deltadeq_..." in ended.told


@pytest.mark.parametrize("thresholds", ["[0,0.1]", "[0.1]", "[0.1,0.1]"])
def test_one_list_at_a_time(thresholds, checkpoint, tmp_path):
    ended = evaluated(checkpoint, tmp_path, "model=deltadeq_tiny", f"threshold={thresholds}", "iterations=[2,4]")
    assert ended.code == 1
    assert "iterations and threshold are both lists" in ended.told


def test_a_rule_that_is_switched_off_has_no_threshold(checkpoint, tmp_path):
    ended = evaluated(checkpoint, tmp_path, "model=deltadeq_tiny", "model.network.delta=null", "threshold=0.1")
    assert ended.code == 1
    assert "The network has no delta rule (delta=null)" in ended.told


@pytest.mark.parametrize("given", [-1, "small", True, [], [0.1, float("inf")]])
def test_thresholds_that_make_no_sense_are_refused(given):
    with pytest.raises(
        FlowBenchError, match=r"threshold=.*: a number from 0 up, or a list of them, or null, is needed"
    ):
        EvaluateSettings(ckpt="x", threshold=given)


def test_figures_are_written_for_a_paper_where_that_is_asked_for(compared, checkpoint, tmp_path):
    names = {path.name for path in (compared[1] / "figures").iterdir()}
    assert {"thresholds_1.pdf", "error_of_the_samples.pdf", "convergence_1.pdf"} <= names
    ended = evaluated(checkpoint, tmp_path, "figures=png")
    assert ended.code == 1
    assert "figures=png: one of pdf or null is needed" in ended.told
