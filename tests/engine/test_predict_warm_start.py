"""What a prediction tells of its warm start, and of a cold one beside it."""

import json
import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from support.checkpoints import save_ours
from support.runs import run_here

import flowbench
from flowbench.engine.predict import predict
from flowbench.engine.prediction.warm_start import (
    ColdComparison,
    PairCost,
    mean_cost,
    warm_start_lines,
    warm_start_summary,
)
from flowbench.io import open_frames, read_flow, read_image, write_image, write_video

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 40
SOLVER = ("network.deq.solver.mode=relative", "network.deq.solver.tolerance=1e-2", f"network.deq.eval_steps={LIMIT}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A slow pan over a film's frame."""
    folder = tmp_path_factory.mktemp("frames")
    picture = read_image(ROOT / "assets" / "sintel" / "frame_0016.png")
    for number in range(3):
        write_image(folder / f"frame_{number}.png", picture[200:264, 800 + number : 864 + number])
    return folder


@pytest.fixture(scope="module")
def model():
    """Fresh weights, whose flow moves so little a step that the solver ends at its tolerance."""
    torch.manual_seed(1)
    model = flowbench.load("deqflow_tiny", None, SOLVER)
    with torch.no_grad():
        for name, weight in model.network.update_block.flow_head.named_parameters():
            if name.endswith("original0") or name.endswith("bias"):
                weight.mul_(0.3)
    return model


@pytest.fixture(scope="module")
def checkpoint(model, tmp_path_factory):
    return save_ours(model, tmp_path_factory.mktemp("checkpoints") / "ours.ckpt")


def predicted(checkpoint, given, folder, *words):
    return run_here(
        predict,
        "predict",
        f"+ckpt={checkpoint}",
        f"input={given}",
        f"output={folder}",
        f"hydra.run.dir={folder}/run",
        "pictures=false",
        "device=cpu",
        *words,
    )


def solved(model, source):
    """Steps and flow of each pair, warm and cold."""
    images = [frame.image for frame in open_frames(source)]
    found, reuse = [], None
    for pair in pairwise(images):
        warm, cold = model.estimate(*pair, reuse), model.estimate(*pair)
        reuse = warm.reuse
        found.append((warm, cold))
    return found


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_figures_are_those_of_the_models_own_estimates(model, checkpoint, folder, tmp_path, kind):
    given = folder if kind == "folder" else tmp_path / "clip.avi"
    if kind == "video":
        with write_video(given, fps=10) as video:
            for frame in open_frames(folder):
                video.write(frame.image)
    ended = predicted(checkpoint, given, tmp_path / "out", "warm_start=true", "compare_cold=true", "video=false")
    assert ended.code == 0, ended.told
    found = json.loads((tmp_path / "out" / "summary.json").read_text())["warm_start"]
    pairs = solved(model, given)
    assert found["pairs_from_the_one_before"] == 1
    for name in ("steps", "abs_residual", "rel_residual"):
        mean = np.mean([warm.stats[name].item() for warm, _ in pairs])
        assert found[name] == pytest.approx(mean, rel=1e-3)
    warm, cold = pairs[1]
    compared = found["compare_cold"]
    assert compared["pairs"] == 1
    assert (compared["warm"]["steps"], compared["cold"]["steps"]) == (warm.stats["steps"], cold.stats["steps"])
    assert compared["steps_saved"] == pytest.approx(100 * (1 - warm.stats["steps"] / cold.stats["steps"]).item())
    difference = (warm.flow - cold.flow).square().sum(dim=1).sqrt().mean().item()
    assert compared["difference"] == pytest.approx(difference, rel=1e-2)
    assert difference > 0
    assert compared["cold"]["converged"] == compared["warm"]["converged"] == 100
    assert f"differ by {compared['difference']:.4f} px" in ended.told
    assert f"{compared['steps_saved']:.1f}% of the iterations saved" in ended.told
    assert f"summary: {tmp_path / 'out' / 'summary.json'}" in ended.stdout


def test_comparing_changes_no_flow(checkpoint, folder, tmp_path):
    words = {"alone": (), "compared": ("compare_cold=true",)}
    flows = {}
    for name, more in words.items():
        ended = predicted(checkpoint, folder, tmp_path / name, "warm_start=true", *more)
        assert ended.code == 0, ended.told
        assert ("cold" in ended.told) == (name == "compared")
        flows[name] = [read_flow(path)[0] for path in sorted((tmp_path / name / "flow").iterdir())]
    assert "compare_cold" not in json.loads((tmp_path / "alone" / "summary.json").read_text())["warm_start"]
    np.testing.assert_array_equal(flows["alone"], flows["compared"])


def test_comparing_needs_a_warm_start(checkpoint, folder, tmp_path):
    ended = predicted(checkpoint, folder, tmp_path / "out", "compare_cold=true")
    assert ended.code == 1
    assert re.search(r"error: compare_cold=true .* warm_start=false: add warm_start=true", ended.told)


def test_without_a_warm_start_there_is_no_summary(checkpoint, folder, tmp_path):
    ended = predicted(checkpoint, folder, tmp_path / "out", "limit=1")
    assert ended.code == 0, ended.told
    assert not (tmp_path / "out" / "summary.json").exists()
    assert "warm start" not in ended.told


def test_a_single_pair_has_nothing_to_start_from(checkpoint, folder, tmp_path):
    ended = predicted(checkpoint, folder, tmp_path / "out", "limit=1", "warm_start=true", "compare_cold=true")
    assert ended.code == 0, ended.told
    assert "0 of 1 pairs from the one before" in ended.told
    assert "nothing to compare" in ended.told


COSTS = [PairCost(warm, 1.0, {"steps": steps}) for warm, steps in ((False, 20.0), (True, 6.0), (True, 10.0))]


def test_the_comparison_leaves_the_pairs_out_that_started_cold():
    still = np.zeros((1, 4, 4, 2), np.float32)
    cold = [replace(cost, warm=False, seconds=3.0, metrics={"steps": 20.0}) for cost in COSTS]
    comparison = ColdComparison(lambda image1, image2: still, cold)
    for length in (7.0, 3.0, 4.0):
        comparison(still, still, still + np.float32((0, length)))
    summary = warm_start_summary(COSTS, comparison)
    assert summary["steps"] == 12
    assert summary["compare_cold"] == {
        "pairs": 2,
        "warm": {"steps": 8, "seconds": 1},
        "cold": {"steps": 20, "seconds": 3},
        "difference": 3.5,
        "steps_saved": pytest.approx(60),
    }
    told = "\n".join(warm_start_lines(summary, pairs=3))
    assert "2 of 3 pairs" in told
    assert "60.0% of the iterations saved" in told


def test_a_network_that_tells_no_steps_is_compared_by_time_and_flow():
    silent = [replace(cost, metrics={}) for cost in COSTS]
    assert mean_cost(silent) == {"seconds": 1}
    comparison = ColdComparison(lambda image1, image2: image1, silent)
    for _ in silent:
        comparison(np.zeros((1, 4, 4, 2)), np.zeros((1, 4, 4, 2)), np.zeros((1, 4, 4, 2)))
    told = "\n".join(warm_start_lines(warm_start_summary(silent, comparison), pairs=3))
    assert "saved" not in told
    assert "1.000 s per pair" in told


def test_no_pairs_have_no_mean():
    assert mean_cost([]) == {}
    assert not math.isnan(warm_start_summary(COSTS[:1], None)["steps"])
