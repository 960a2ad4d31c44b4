"""The commands of docs/reproduce.md compose, and each takes the recipe and the data that its row names."""

import re
import shlex
from pathlib import Path

import pytest
from omegaconf import DictConfig
from support.hydra import GROUPS, composed

from flowbench.engine.composed_groups import chosen_data

PAGE = (Path(__file__).parents[1] / "docs" / "reproduce.md").read_text()
COMMANDS = [shlex.split(command) for command in re.findall(r"`python ([^`]+)`", PAGE)]


@pytest.fixture(scope="module")
def configs() -> list[tuple[list[str], DictConfig]]:
    return [(words, composed(program.removesuffix(".py"), *words)) for program, *words in COMMANDS]


def value_of(words: list[str], key: str) -> str | None:
    return next((word.partition("=")[2] for word in words if word.startswith(f"{key}=")), None)


def test_every_row_trains_or_evaluates_what_it_says(configs):
    assert len(configs) == len(COMMANDS) > 35
    for words, config in configs:
        assert config.model.name == value_of(words, "model")
        assert set(chosen_data(words) or [value_of(words, "data")]) <= set(GROUPS["data"])
        assert ("schedule" in config) != ("ckpt" in config)


def test_all_recipes_of_papers_are_there(configs):
    named = {value_of(words, "recipe") for words, _ in configs}
    taken = {f"{value_of(words, 'model')}_{value_of(words, 'data')}" for words, _ in configs}
    ours = {name for name in GROUPS["recipe"] if name.endswith("_synthetic")}
    # Stages for which the papers give no figures.
    others = {
        name for name in GROUPS["recipe"] if name.startswith(("raft_small", "raft_h", "deltadeq")) or name == "raft"
    }
    stages = ("chairs", "things", "sintel", "kitti")
    unpublished = {f"deqflow_{size}_{data}" for size in ("tiny", "l", "g") for data in stages}
    unpublished |= {f"deqflow_{size}_{data}" for size in "bh" for data in ("sintel", "kitti")}
    second_code = {"deqflow_h_v2_chairs", "deqflow_h_v2_things"}
    assert set(GROUPS["recipe"]) - ours - others - unpublished - second_code <= named | taken


def test_the_steps_of_a_stage_are_those_of_its_recipe(configs):
    steps = {tuple(words[:2]): config.schedule.steps for words, config in configs if "schedule" in config}
    assert steps["model=deqflow_h", "data=things"] in (120_000, 360_000)
    assert steps["model=raft", "data=kitti"] == 50_000
    assert steps["model=raft_h", "data=chairs"] == steps["model=raft_h", "data=things"] == 120_000
    assert steps["model=fastflownet", "data=chairs"] == 1_200_000
    assert steps["model=lightflow_05", "data=chairs"] == 403 * 174


@pytest.mark.parametrize(
    "published",
    [
        "1.46, 2.85; 5.29, 16.24 | 5,800 MB",
        "1.41, 2.76; 4.44, 14.81 | 6,300 MB",
        "16-mixed` | | 4,200 MB",
        "clean `epe` | 4.89",
        "`fl_all` | 11.22",
        "3.45, on a random 3% of Chairs",
    ],
)
def test_published_figures_stand_in_their_rows(published):
    assert any(published in line for line in PAGE.splitlines() if line.startswith("|"))
