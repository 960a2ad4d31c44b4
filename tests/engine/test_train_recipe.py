"""Which recipe a model and its data get, and what the program says of it."""

import logging

import pytest
import yaml
from support.hydra import composed
from support.runs import run_here

from flowbench.data.sample_trees import write_tree
from flowbench.engine.train import train

SHORT = (
    "schedule.steps=1",
    "schedule.batch_size=2",
    "schedule.crop=[64,64]",
    "data.workers=0",
    "callbacks.pictures=null",
    "trainer.accelerator=cpu",
)
H_ON_CHAIRS = "DEQ-Flow v2 H 1x, Chairs (arXiv 2204.08442 and its code)"


def told_of_a_run(caplog, *words) -> list[str]:
    with caplog.at_level(logging.INFO, logger="flowbench.engine.train"):
        ended = run_here(train, "train", *SHORT, *words)
    assert ended.code == 0, ended.told
    return caplog.messages


@pytest.mark.parametrize("model", ["deqflow_tiny", "deltadeq_tiny"])
def test_a_size_that_no_paper_trains_has_the_recipe_of_h_and_says_so(model, caplog, tmp_path):
    write_tree("chairs", tmp_path / "chairs", pairs=2, size=(80, 96))
    words = (
        f"model={model}",
        "data=chairs",
        f"paths.chairs={tmp_path / 'chairs'}",
        f"hydra.run.dir={tmp_path / 'run'}",
    )
    assert f"recipe {model.partition('_')[0]}_chairs: {H_ON_CHAIRS}; schedule chairs" in told_of_a_run(caplog, *words)
    deq = yaml.safe_load((tmp_path / "run/config.yaml").read_text())["model"]["network"]["deq"]
    assert (deq["solver"]["max_steps"], deq["corrections"]["count"]) == (36, 6)


def test_a_pair_without_a_recipe_is_told_with_the_schedule_that_it_gets(caplog, tmp_path):
    words = ("model=raft_small", "data.scenes.size=[64,64]", "data.counts.val=1", "model.network.iterations=1")
    told = told_of_a_run(caplog, *words, f"hydra.run.dir={tmp_path}")
    assert "no paper gives a recipe for raft_small on synthetic; schedule synthetic" in told


@pytest.mark.parametrize("data", ["chairs", "things", "sintel", "kitti"])
@pytest.mark.parametrize(
    "model", ["deqflow_tiny", "deqflow_l", "deqflow_g", "deltadeq_tiny", "deltadeq_b", "deltadeq_h"]
)
def test_every_size_has_the_recipe_of_h_at_its_own_width(model, data):
    found, of_h = (composed("train", f"model={name}", f"data={data}") for name in (model, "deqflow_h"))
    assert found.schedule == of_h.schedule
    assert found.source == of_h.source
    assert found.model.objective == of_h.model.objective
    for part in ("corrections", "gradient"):
        assert found.model.network.deq[part] == of_h.model.network.deq[part]
    assert found.model.network.deq.solver.max_steps == of_h.model.network.deq.solver.max_steps
    assert found.model.network.through_coords == of_h.model.network.through_coords
    assert found.model.network.size == model.partition("_")[2]


def test_raft_h_trains_as_long_as_was_published():
    chairs, things = (composed("train", "model=raft_h", f"data={data}").schedule for data in ("chairs", "things"))
    assert (chairs.steps, chairs.batch_size, chairs.lr, list(chairs.crop)) == (120_000, 12, 4e-4, [368, 496])
    assert (things.steps, things.batch_size, things.lr, list(things.crop)) == (120_000, 6, 1.25e-4, [400, 720])
    assert (chairs.optimisation.freeze_batch_norm, things.optimisation.freeze_batch_norm) == (False, True)


@pytest.mark.parametrize("model", ["deqflow_h", "deltadeq_tiny"])
def test_a_schedule_that_the_recipe_would_overrule_is_refused(model, tmp_path):
    words = (f"model={model}", "data=chairs", "schedule=chairs_mixed", f"hydra.run.dir={tmp_path / 'run'}")
    ended = run_here(train, "train", *words)
    assert ended.code == 1
    recipe = f"{model.partition('_')[0]}_chairs"
    assert f"schedule=chairs_mixed was given, but the recipe of this model and data, {recipe}, sets" in ended.told
    assert not (tmp_path / "run").exists()
    # Without the recipe, what is missing is the data.
    ended = run_here(train, "train", *words, "~recipe", f"paths.chairs={tmp_path / 'none'}")
    assert "sets the schedule" not in ended.told
    assert str(tmp_path / "none") in ended.told


def test_a_schedule_beside_a_recipe_that_sets_none_is_taken(tmp_path):
    words = ("model=raft", "data=kitti", "schedule=kitti_mixed", f"paths.kitti={tmp_path / 'none'}")
    ended = run_here(train, "train", *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert "recipe" not in ended.told
    assert str(tmp_path / "none") in ended.told
