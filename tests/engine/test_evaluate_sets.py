"""Several data sets in one evaluation, each by its own protocol, from trees in their formats."""

import json
import logging

import pytest
import torch
from support.checkpoints import save_ours
from support.hydra import composed
from support.runs import rows, run_here

from flowbench.data.sample_trees import write_tree
from flowbench.engine.config.models import build_model
from flowbench.engine.evaluate import evaluate

PAIRS = 2
ROOTS = {"sintel": "Sintel", "kitti": "KITTI", "middlebury": "Middlebury"}
# No multiples of 8, so that padding matters.
SIZE = (66, 90)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, root in ROOTS.items():
        write_tree(name, folder / root, pairs=PAIRS, size=SIZE)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    model = build_model(composed("train", "model=raft_small", "model.network.eval_iterations=12").model)
    return save_ours(model, tmp_path_factory.mktemp("checkpoints") / "ours.ckpt", data={})


@pytest.fixture(scope="module")
def folder(checkpoint, data, tmp_path_factory):
    return evaluated(checkpoint, data, tmp_path_factory.mktemp("evaluated"), "data=[sintel,kitti]")


def evaluated(checkpoint, data, folder, *words):
    roots = [f"paths.{name}={data / root}" for name, root in ROOTS.items()]
    words = (f"+ckpt={checkpoint}", "trainer.accelerator=cpu", "data.workers=0", "pictures=0", *roots, *words)
    ended = run_here(evaluate, "evaluate", *words, f"hydra.run.dir={folder}")
    assert ended.code == 0, ended.told
    return folder


def found(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_each_set_is_evaluated_apart_and_by_its_protocol(folder):
    assert {path.name for path in folder.iterdir() if path.is_dir()} >= {"sintel_clean", "sintel_final", "kitti"}
    for name, padding, updates in (
        ("sintel_clean", "sintel", 32),
        ("sintel_final", "sintel", 32),
        ("kitti", "kitti", 24),
    ):
        settings = found(folder / name)["settings"]
        assert f"'{padding}'" in settings["padder"]
        assert (settings["steps"], settings["pairs"]) == (updates, PAIRS)


def test_sintel_tells_matched_from_unmatched_and_slow_from_fast(folder):
    metrics = found(folder / "sintel_clean")["metrics"]
    assert {"epe_matched", "epe_unmatched", "s0-10"} <= metrics.keys()
    keys = [row["key"] for row in rows(folder / "sintel_final" / "per_sample.csv")]
    assert all(key.startswith("sintel/final/") for key in keys)


def test_the_summary_has_what_papers_report_on_each(folder):
    summary = {row["data"]: row for row in rows(folder / "summary.csv")}
    assert list(summary) == ["sintel/clean", "sintel/final", "kitti"]
    for name, measures in {"sintel/clean": ["epe"], "kitti": ["epe_per_image", "fl_all"]}.items():
        metrics = found(folder / name.replace("/", "_"))["metrics"]
        told = {measure for measure in ("epe", "epe_per_image", "fl_all") if summary[name][measure]}
        assert told == set(measures)
        for measure in measures:
            assert float(summary[name][measure]) == metrics[measure]


def test_a_set_alone_gives_the_same_figures_in_the_runs_own_folder(folder, checkpoint, data, tmp_path):
    alone = found(evaluated(checkpoint, data, tmp_path, "data=kitti"))
    assert alone["metrics"] == found(folder / "kitti")["metrics"]
    assert alone["settings"]["data"] == "kitti"


def test_what_a_protocol_leaves_open_is_the_models_own_whatever_came_before(checkpoint, data, tmp_path):
    after_kitti = evaluated(checkpoint, data, tmp_path / "after", "data=[kitti,middlebury]")
    alone = found(evaluated(checkpoint, data, tmp_path / "alone", "data=middlebury"))
    assert found(after_kitti / "middlebury") == alone
    assert alone["settings"]["steps"] == 12


def test_a_change_that_does_not_fit_one_of_the_list_names_it(checkpoint, data, tmp_path):
    words = (f"+ckpt={checkpoint}", "data=[sintel,kitti]", "+data.test.clean.at_most=1", f"hydra.run.dir={tmp_path}")
    ended = run_here(evaluate, "evaluate", *words)
    assert ended.code == 1
    assert "data.test.clean of 'kitti' is {'at_most': 1}, without the _target_ of a FlowDataset" in ended.told


def test_what_the_protocol_changes_of_the_models_own_settings_is_told(checkpoint, data, tmp_path, caplog):
    words = ("data=kitti", "+model.network.eval_iterations=3")
    with caplog.at_level(logging.INFO, logger="flowbench.engine.config.protocols"):
        settings = found(evaluated(checkpoint, data, tmp_path, *words))["settings"]
    assert settings["steps"] == 24
    assert "iterations: 24, as the data's protocol says; the model's own are 3" in caplog.messages
    assert any(line.startswith("padder: ") and "'kitti'" in line for line in caplog.messages)


def test_the_truth_of_a_submission_is_not_there_to_evaluate_on(checkpoint, data, tmp_path):
    words = (f"+ckpt={checkpoint}", "data=kitti", "split=submission", f"paths.kitti={data / 'KITTI'}")
    ended = run_here(evaluate, "evaluate", *words, f"hydra.run.dir={tmp_path}")
    assert ended.code == 1
    assert "split=submission: one of train, val, test is needed" in ended.told


def test_the_command_line_wins_over_the_protocol(checkpoint, data, tmp_path):
    settings = found(
        evaluated(checkpoint, data, tmp_path, "data=kitti", "iterations=1", "data.protocol.padding=sintel")
    )
    assert settings["settings"]["steps"] == 1
    assert "'sintel'" in settings["settings"]["padder"]


def test_a_missing_set_names_its_tree_and_its_key(checkpoint, tmp_path):
    words = (f"+ckpt={checkpoint}", "data=[kitti,sintel]", f"paths.kitti={tmp_path / 'nowhere'}", "data.workers=0")
    ended = run_here(evaluate, "evaluate", *words, f"hydra.run.dir={tmp_path}")
    assert ended.code == 1
    for part in ("KITTI 2015: there is no folder", "Set paths.kitti=<folder>", "training/flow_occ/000000_10.png"):
        assert part in ended.told
