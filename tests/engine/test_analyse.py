"""The analysis of a checkpoint's solve agrees with the model's own estimates and counts."""

import json
from dataclasses import replace
from itertools import pairwise

import cv2
import pytest
import torch
from support.checkpoints import save_ours
from support.models import short_model
from support.runs import ROOT, rows, run_here

import flowbench
from flowbench.deq import StopReason
from flowbench.engine.analyse import analyse
from flowbench.io import read_image
from flowbench.networks.delta_shares import delta_solve

STEPS = 4


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Crops of two film frames, which padding has to fit."""
    folder = tmp_path_factory.mktemp("pair")
    paths = [folder / f"frame_{number}.png" for number in (16, 17)]
    for path in paths:
        frame = cv2.imread(str(ROOT / "assets" / "sintel" / f"{path.stem.replace('_', '_00')}.png"))
        cv2.imwrite(str(path), frame[200:268, 500:600])
    return paths


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    return save_ours(short_model("deqflow_tiny", STEPS), tmp_path_factory.mktemp("weights") / "ours.ckpt")


@pytest.fixture(scope="module")
def analysed(tmp_path_factory, pair, checkpoint):
    folder = tmp_path_factory.mktemp("analysis")
    ended = told(folder, checkpoint, pair)
    assert ended.code == 0, ended.told
    assert "analysis.html" in ended.told
    return folder


def told(folder, checkpoint, pair, *words):
    listed = f"input=[{','.join(map(str, pair))}]"
    common = (f"+ckpt={checkpoint}", listed, f"iterations={STEPS}", "device=cpu", f"hydra.run.dir={folder}")
    return run_here(analyse, "analyse", *common, *words)


def damped(checkpoint, *changes):
    settings = ["network.deq.solver.tolerance=1e-30", f"network.deq.eval_steps={STEPS}"]
    return flowbench.load("deltadeq_tiny", checkpoint, overrides=[*settings, *changes])


def test_the_figures_are_those_of_the_models_own_states(analysed, pair, checkpoint):
    model = damped(checkpoint)
    images = [model.padder.pad(model._as_batch(read_image(path))) for path in pair]
    with torch.no_grad():
        refine, start = flowbench.load(checkpoint).network.problem(*images)
        states = [start, *model.network.deq.solve(refine, start, range(1, STEPS + 1)).states]
    for name, part in (("hidden state", 0), ("coordinates", 1)):
        moved = torch.stack([(b[part] - a[part])[0] for a, b in pairwise(states)])
        changes = moved.flatten(1).norm(dim=1).tolist()
        found = rows(analysed / "steps.csv")
        assert [float(row[f"{name}, change"]) for row in found] == pytest.approx(changes, rel=1e-4)
        first = (moved.abs() < 0.01).int().argmax(dim=0) + 1
        first[(moved.abs() >= 0.01).all(dim=0)] = STEPS + 1
        shares = [(first == step).double().mean().item() for step in range(1, STEPS + 1)]
        assert [float(row[f"{name}, share first under 0.01"]) for row in found] == pytest.approx(shares, abs=1e-3)
        medians = first.flatten(1).sort(dim=1).values[:, round(0.5 * (first[0].numel() - 1))].tolist()
        written = [row["first under 0.01, median"] for row in rows(analysed / "channels.csv") if row["part"] == name]
        close = [
            abs((float(text) if text else STEPS + 1) - step) <= 1 for text, step in zip(written, medians, strict=True)
        ]
        assert all(close)


def test_what_a_rule_leaves_out_is_what_its_network_counts(analysed, pair, checkpoint):
    model = damped(checkpoint, "network.delta.rule=element")
    images = [model.padder.pad(model._as_batch(read_image(path))) for path in pair]
    work = model.network.work(*images)
    left_out = {
        (row["layer"], int(row["step"])): float(row["left out"])
        for row in rows(analysed / "sparsity.csv")
        if row["rule"] == "element"
    }
    # Elsewhere the counts hold the context or the zeros that a first step's ReLU made.
    for layer in ("encoder.convc1", "encoder.convc2", "encoder.convf2", "encoder.conv", "flow_head.conv1"):
        for step in range(2, STEPS + 1):
            counted = work[step - 1][layer]
            assert left_out[layer, step] == pytest.approx(counted.zeros.item() / counted.inputs, abs=1e-3)
        assert left_out[layer, 1] == 0


def test_everything_is_written_and_the_summary_adds_up(analysed):
    found = json.loads((analysed / "analysis.json").read_text())
    assert found["input"] == ["frame_16", "frame_17"]
    assert [(row["part"], row["tolerance"], row["dimensions"]) for row in found["summary"]] == [
        ("hidden state", 0.01, 32 * 9 * 13),
        ("hidden state", 0.001, 32 * 9 * 13),
        ("coordinates", 0.01, 2 * 9 * 13),
        ("coordinates", 0.001, 2 * 9 * 13),
    ]
    steps = rows(analysed / "steps.csv")
    assert len(steps) == STEPS
    for row in found["summary"]:
        reached = sum(float(step[f"{row['part']}, share first under {row['tolerance']:g}"]) for step in steps)
        assert reached + row["never (%)"] / 100 == pytest.approx(1)
        assert float(steps[-1][f"{row['part']}, cumulative energy"]) == pytest.approx(1)
    assert [row["layer"] for row in found["left_out"]][:2] == ["all layers", "encoder.convc1"]
    assert "<svg" in (analysed / "analysis.html").read_text()


def test_a_threshold_that_nothing_exceeds_leaves_all_out_and_zero_next_to_nothing(tmp_path, pair, checkpoint):
    assert told(tmp_path, checkpoint, pair, "threshold=1e6", "iterations=3").code == 0
    for row in rows(tmp_path / "sparsity.csv"):
        assert float(row["left out"]) == (0 if row["step"] == "1" else 1)


def test_a_checkpoint_analysed_as_the_delta_network_gives_the_same_figures(tmp_path, pair, checkpoint, analysed):
    assert told(tmp_path, checkpoint, pair, "model=deltadeq_tiny").code == 0
    for name in ("steps.csv", "channels.csv", "sparsity.csv"):
        assert (tmp_path / name).read_text() == (analysed / name).read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tolerance=[0.1,0]",), "tolerance=[0.1,0]: a number above zero, or a list of them, is needed"),
        (("damping=2",), "give a share above 0 and at most 1"),
        (("input=nowhere",), "nowhere"),
    ],
)
def test_what_the_user_can_mend_ends_in_a_sentence(tmp_path, pair, checkpoint, words, sentence):
    ended = told(tmp_path, checkpoint, pair, *words)
    assert ended.code == 1
    assert sentence in ended.told


def test_a_network_without_equilibrium_is_refused(tmp_path, pair):
    weights = save_ours(short_model("raft_small"), tmp_path / "raft.ckpt")
    ended = told(tmp_path, weights, pair)
    assert ended.code == 1
    assert "raft_small has no equilibrium" in ended.told


def test_a_solve_that_diverges_is_refused(tmp_path, pair):
    model = short_model("deqflow_tiny", STEPS)
    torch.nn.init.constant_(model.network.update_block.flow_head.conv2.bias, float("nan"))
    ended = told(tmp_path / "run", save_ours(model, tmp_path / "nan.ckpt"), pair)
    assert ended.code == 1
    assert "The solve diverged at step 1: lower damping" in ended.told


def test_a_solve_that_diverges_under_a_rule_alone_is_refused(tmp_path, pair, checkpoint, monkeypatch):
    def diverged(network, deq, delta, *images):
        solve = delta_solve(network, deq, delta, *images)
        if delta.rule == "element":
            return solve
        return replace(solve, stats=replace(solve.stats, reason=torch.full((1,), StopReason.DIVERGED)))

    monkeypatch.setattr("flowbench.engine.analyse.delta_solve", diverged)
    ended = told(tmp_path / "run", checkpoint, pair)
    assert ended.code == 1
    assert f"The solve under the pixel rule diverged at step {STEPS}: lower threshold." in ended.told
