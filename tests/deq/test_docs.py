"""docs/deq.md: its Python blocks are run in order, and hold in their assertions what the page claims."""

import re
from pathlib import Path

import pytest
from support.hydra import composed

import flowbench.deq
from flowbench.configs import build, config_folder
from flowbench.deq import DEQ

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deq.md"
TEXT = PAGE.read_text()
BLOCKS = list(re.finditer(r"```python\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = re.findall(r"^    python train\.py (.*)$", TEXT, re.MULTILINE)
# What users of the library meet as a return value or in annotations alone.
UNNAMED = {"Corrections", "Gradient", "Map", "Solution", "SolverStats", "State"}


def test_the_blocks_run_in_order():
    names: dict = {"__name__": "deq"}
    for block in BLOCKS:
        code = block.group(1)
        assert "assert " in code
        lines_before = TEXT.count("\n", 0, block.start(1))
        exec(compile("\n" * lines_before + code, str(PAGE), "exec"), names)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_compose(command):
    config = composed("train", *command.split())
    assert isinstance(build(config.model.network.deq), DEQ)


def test_every_public_name_is_explained():
    explained = {name for name in flowbench.deq.__all__ if re.search(rf"\b{name}\b", TEXT)}
    assert set(flowbench.deq.__all__) - explained <= UNNAMED


@pytest.mark.parametrize("group", ["solver", "gradient", "corrections"])
def test_every_choice_of_the_configuration_is_listed(group):
    (row,) = re.findall(rf"^\| `model/{group}` \| (.*) \|$", TEXT, re.MULTILINE)
    files = {path.stem for path in (config_folder() / "model" / group).glob("*.yaml")}
    assert set(re.findall(r"`(\w+)`", row)) == files
