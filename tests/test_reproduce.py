"""The commands of docs/reproduce.md compose, and each takes the recipe and the data that its row names."""

import re
import shlex
from pathlib import Path

import pytest
from omegaconf import DictConfig
from support.hydra import GROUPS, composed

from flowbench.configs import recipe_of
from flowbench.engine.config.groups import chosen_data

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
    taken = {recipe_of(value_of(words, "model"), value_of(words, "data").strip("[]")) for words, _ in configs}
    ours = {name for name in GROUPS["recipe"] if name.endswith("_synthetic")}
    # Stages for which the papers give no figures.
    others = {name for name in GROUPS["recipe"] if name.startswith("deltadeq")} | {"deqflow_sintel", "deqflow_kitti"}
    # What deqflow_chairs and deqflow_things consist of.
    second_code = {"deqflow_h_v2_chairs", "deqflow_h_v2_things"}
    assert set(GROUPS["recipe"]) - ours - others - second_code <= named | taken
