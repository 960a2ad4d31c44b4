"""Numbers of iterations compared, and what a solver did, in a real evaluation."""

import json
import re
from types import SimpleNamespace

import pytest
import torch
from support.checkpoints import save_ours
from support.hydra import composed
from support.runs import rows, run_here

from flowbench.configs import resolved
from flowbench.engine.config.models import build_model, load_model
from flowbench.engine.evaluate import evaluate
from flowbench.engine.evaluation.comparison import chosen_variants
from flowbench.engine.evaluation.recorder import SampleRecorder
from flowbench.engine.evaluation.settings import EvaluateSettings
from flowbench.engine.evaluation.timer import NetworkTimer
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowBatch

PAIRS = 5
SCENES = ("data.scenes.size=[64,64]", f"data.counts.test={PAIRS}", "data.workers=0", "data.eval_batch_size=2")


def saved(model, folder, *words):
    torch.manual_seed(0)
    config = composed("train", f"model={model}", *SCENES, *words)
    return save_ours(build_model(config.model), folder / f"{model}.ckpt", data=resolved(config.data))


@pytest.fixture(scope="module")
def deqflow(tmp_path_factory):
    # A tolerance that some samples reach within 4 steps, and others do not.
    return saved("deqflow_tiny", tmp_path_factory.mktemp("deqflow"), "model.network.deq.solver.tolerance=0.8")


@pytest.fixture(scope="module")
def raft(tmp_path_factory):
    return saved("raft_small", tmp_path_factory.mktemp("raft"))


def evaluated(checkpoint, folder, *words):
    words = (f"+ckpt={checkpoint}", "trainer.accelerator=cpu", f"hydra.run.dir={folder}", *words)
    ended = run_here(evaluate, "evaluate", *words)
    assert ended.code == 0, ended.told
    return ended


def figures(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def compared(deqflow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return evaluated(deqflow, folder, "iterations=[2,4]", "pictures=1"), folder


def test_each_limit_has_the_figures_of_its_own_evaluation(compared, deqflow, tmp_path):
    _, folder = compared
    table = rows(folder / "steps.csv")
    assert [row["iterations"] for row in table] == ["2", "4"]
    for row in table:
        alone = tmp_path / row["iterations"]
        evaluated(deqflow, alone, f"iterations={row['iterations']}", "pictures=0")
        found = figures(alone)
        for name in ("epe", "1px", "fl_all"):
            assert float(row[name]) == found["metrics"][name]
        assert float(row["steps"]) == found["solver"]["steps"]
        assert float(row["seconds_per_pair"]) > 0
        assert not (alone / "steps.csv").exists()
    assert figures(folder) == found
    assert rows(folder / "per_sample.csv") == rows(alone / "per_sample.csv")


def test_samples_tell_what_the_solver_did_and_its_means_are_theirs(compared):
    _, folder = compared
    samples, solver = rows(folder / "per_sample.csv"), figures(folder)["solver"]
    assert not [name for name in samples[0] if "trace" in name]
    assert {row["reason"] for row in samples} == {"converged", "step_limit"}
    for row in samples:
        assert (float(row["abs_residual"]) < 0.8) == (row["reason"] == "converged")
        assert 1 <= int(row["best_step"]) <= int(row["steps"]) <= 4
    for name in ("steps", "abs_residual", "rel_residual"):
        assert solver[name] == pytest.approx(sum(float(row[name]) for row in samples) / PAIRS)
    assert solver["converged"] == 100 * sum(row["reason"] == "converged" for row in samples) / PAIRS


def test_terminal_and_report_show_limits_solver_and_convergence(compared):
    ended, folder = compared
    report = (folder / "report.html").read_text()
    for row in rows(folder / "steps.csv"):
        assert re.search(rf"\b{row['iterations']} .* {float(row['epe']):.3f} ", ended.told)
        assert f"{float(row['epe']):.3f}" in report
    assert "converged (%)" in ended.told
    for heading in ("Iterations", "Solver", "Convergence"):
        assert f"<h2>{heading}</h2>" in report
    plots = re.findall(r'<svg class="plot.*?</svg>', report)
    lines = [len(re.findall('<path class="line', plot)) for plot in plots]
    # Both plots of the limits, both of the residuals, the errors of the worst, the median and the best.
    assert lines == [1, 1, PAIRS, PAIRS, 3]
    for row in rows(folder / "per_sample.csv"):
        traces = [re.search(rf'd="([^"]*)"><title>{row["key"]}<', plot)[1] for plot in plots[2:4]]
        assert [trace.count("L") + 1 for trace in traces] == [int(row["steps"])] * 2


def test_flows_after_steps_are_those_of_a_solver_that_ends_there(deqflow):
    model = load_model(deqflow)[0].train()
    pictures = torch.rand(2, 3, 70, 91)
    model.set_iterations(3)
    flows = list(model.flows_after_steps(*pictures))
    assert model.training
    assert len(flows) == 3
    for steps, flow in enumerate(flows, start=1):
        model.set_iterations(steps)
        torch.testing.assert_close(flow, model.estimate(*pictures).flow)
        assert not flow.requires_grad


def test_updates_of_raft_are_compared_in_ascending_order(raft, tmp_path):
    ended = evaluated(raft, tmp_path / "both", "iterations=[3,1,3]", "pictures=0")
    table = rows(tmp_path / "both/steps.csv")
    assert [(row["iterations"], float(row["steps"])) for row in table] == [("1", 1), ("3", 3)]
    evaluated(raft, tmp_path / "one", "iterations=1", "pictures=0")
    assert float(table[0]["epe"]) == figures(tmp_path / "one")["metrics"]["epe"]
    assert float(table[1]["epe"]) == figures(tmp_path / "both")["metrics"]["epe"]
    assert figures(tmp_path / "both")["settings"]["steps"] == 3
    assert "solver" not in figures(tmp_path / "both")
    report = (tmp_path / "both/report.html").read_text()
    assert "<h2>Convergence</h2>" not in report
    assert report.count('<svg class="plot') == 2
    assert "iterations" in ended.told


def recorded(**stats):
    size = len(next(iter(stats.values())))
    picture = torch.zeros(size, 3, 8, 8)
    keys = [f"data/{index}" for index in range(size)]
    batch = FlowBatch(picture, picture, torch.zeros(size, 2, 8, 8), torch.ones(size, 8, 8, dtype=torch.bool), keys)
    sums = {"epe": (torch.ones(size), torch.ones(size))}
    recorder = SampleRecorder()
    one_process = type("Trainer", (), {"global_rank": 0, "world_size": 1})
    recorder.on_test_batch_end(one_process, None, {"sums": sums, "stats": stats}, batch)
    return recorder


def test_every_reason_has_a_word_and_traces_end_with_their_sample():
    nan = float("nan")
    recorder = recorded(
        steps=torch.tensor([2, 1, 2, 1]),
        reason=torch.tensor([0, 1, 2, 3]),
        abs_residual=torch.tensor([1.0, 2.0, 3.0, float("inf")]),
        rel_residual=torch.full((4,), float("inf")),
        abs_trace=torch.tensor([[4.0, 1.0], [2.0, nan], [3.0, 3.0], [nan, nan]]),
        rel_trace=torch.ones(4, 2),
    )
    assert [row["reason"] for row in recorder.rows()] == ["step_limit", "converged", "stalled", "diverged"]
    assert [list(trace.absolute) for trace in recorder.traces()[:3]] == [[4.0, 1.0], [2.0], [3.0, 3.0]]
    assert recorder.solver() == {"steps": 1.5, "abs_residual": 2.0, "converged": 25.0}


def test_a_network_without_a_solver_has_no_solver_figures():
    recorder = recorded(steps=torch.tensor([12, 12]))
    assert [row["steps"] for row in recorder.rows()] == [12, 12]
    assert (recorder.solver(), recorder.traces()) == ({}, [])


def test_time_is_the_median_after_the_first_batch(monkeypatch, raft):
    model = load_model(raft)[0]
    model.set_iterations(1)
    timer = NetworkTimer(model.network)
    # Begin and end of each of the four batches of two pairs.
    clock = iter([0.0, 90.0, 100.0, 101.0, 200.0, 203.0, 300.0, 302.0])
    monkeypatch.setattr("flowbench.engine.evaluation.timer.time.perf_counter", lambda: next(clock))
    timer.on_test_start(None, model)
    pictures = torch.rand(2, 2, 3, 64, 64)
    model.estimate(*pictures)
    assert timer.seconds_per_pair() == 45.0
    for _ in range(3):
        model.estimate(*pictures)
    assert timer.seconds_per_pair() == 1.0
    timer.on_test_end(None, model)
    model.estimate(*pictures)
    assert timer.seconds_per_pair() == 1.0


def test_iterations_are_refused_where_a_network_does_not_iterate():
    model = SimpleNamespace(name="fastflownet", iterations=None)
    (variant,) = chosen_variants(EvaluateSettings(ckpt="x"), model)
    assert variant.value is None
    with pytest.raises(FlowBenchError, match="fastflownet does not iterate: leave iterations out"):
        chosen_variants(EvaluateSettings(ckpt="x", iterations=3), model)
