"""The benchmark of the delta rule: one row a way of solving, and what each is refused for."""

import json

import pytest
import torch
from support.batches import shifted_noise
from support.checkpoints import save_ours
from support.models import short_model
from support.runs import run_here

from flowbench.engine.benchmark import benchmark
from flowbench.io import write_image


@pytest.fixture
def words(tmp_path):
    torch.manual_seed(0)
    checkpoint = save_ours(short_model("deqflow_tiny"), tmp_path / "deqflow.ckpt")
    sample = shifted_noise(0)
    for name, image in {"a": sample.image1, "b": sample.image2}.items():
        write_image(tmp_path / f"{name}.png", image)
    pair = f"pair=[{tmp_path / 'a.png'},{tmp_path / 'b.png'}]"
    return "subject=delta", f"+ckpt={checkpoint}", pair, f"hydra.run.dir={tmp_path / 'run'}", "device=cpu"


def test_each_rule_and_threshold_is_compared_with_the_dense_solve(words, tmp_path):
    settings = ("model=deltadeq_tiny", "iterations=4", "thresholds=[0,0.5]", "repeats=1")
    # A tolerance that would stop the ways at different steps.
    ended = run_here(benchmark, "benchmark", *words, *settings, "model.network.deq.solver.tolerance=0.5")
    assert ended.code == 0, ended.told
    dense, *ruled = json.loads((tmp_path / "run" / "benchmark.json").read_text())
    assert (dense["rule"], dense["dense / this"]) == ("dense", 1)
    assert {row["steps taken"] for row in (dense, *ruled)} == {4}
    assert [(row["rule"], row["threshold"]) for row in ruled] == [
        ("element", 0),
        ("element", 0.5),
        ("pixel", 0),
        ("pixel", 0.5),
    ]
    for exact, rough in (ruled[:2], ruled[2:]):
        assert exact["mean difference to dense (px)"] < 1e-3 < rough["mean difference to dense (px)"]
        assert 0 < rough["propagated (%)"] < exact["propagated (%)"] <= 100
        for row in (exact, rough):
            assert row["propagated GMAC"] / row["of GMAC"] == pytest.approx(row["propagated (%)"] / 100, rel=1e-3)
            saved = row["of GMAC"] - row["propagated GMAC"]
            assert dense["network GMAC"] - row["network GMAC"] == pytest.approx(saved, rel=1e-3)
            assert row["dense / this"] == pytest.approx(dense["median (s)"] / row["median (s)"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["model=deqflow_tiny"], "deqflow_tiny has no delta rule: choose a model=deltadeq_..."),
        (
            ["model=deltadeq_tiny", "pair=[a.png]"],
            "pair=[a.png]: a list of 2, each member text, is needed.",
        ),
        (["model=deltadeq_tiny", "rules=pixel"], "rules=pixel: a list, each member one of element, pixel, is needed."),
        (["model=deltadeq_tiny", "repeats=0"], "repeats=0: a whole number above zero is needed"),
        (
            ["model=deltadeq_tiny", "thresholds=[-1]"],
            "thresholds=[-1]: a number from 0 up, or a list of them, is needed.",
        ),
        (["model=deltadeq_tiny", "model.network.delta=null"], "model.network.delta=null switches the rule off"),
        (["model=deltadeq_tiny", "~ckpt"], "add ckpt=<a checkpoint of DEQ-Flow>"),
    ],
)
def test_what_cannot_be_compared_is_refused(words, changes, told):
    if "~ckpt" in changes:
        words, changes = [word for word in words if not word.startswith("+ckpt")], changes[:1]
    ended = run_here(benchmark, "benchmark", *words, *changes)
    assert ended.code == 1
    assert told in ended.told
