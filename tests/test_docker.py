"""The Dockerfile fits the project. It is read here, not built: that needs a Docker daemon and the network."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INSTRUCTIONS = [
    tuple(line.split(maxsplit=1))
    for line in (ROOT / "Dockerfile").read_text().splitlines()
    if line and not line.startswith("#")
]
COPIED = {
    source
    for name, words in INSTRUCTIONS
    if name == "COPY" and not words.startswith("--from")
    for source in words.split()[:-1]
}


def last(name):
    return [words for found, words in INSTRUCTIONS if found == name][-1]


def test_what_is_copied_is_there_and_nothing_else_is_sent():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == COPIED
    assert all((ROOT / name).exists() for name in COPIED)


def test_the_wheel_is_built_from_all_that_it_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = set(project["tool"]["setuptools"]["package-dir"].values())
    assert {*folders, project["project"]["readme"], *project["project"]["license-files"]} <= COPIED


def test_the_python_is_the_oldest_that_the_package_takes():
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert ("ARG", f"PYTHON={python}") in INSTRUCTIONS


@pytest.mark.parametrize("name", ["PYTHON", "TORCH_INDEX"])
def test_an_argument_is_used(name):
    assert any(re.search(rf"\$\{{?{name}\b", words) for found, words in INSTRUCTIONS if found != "ARG")


def test_the_container_runs_the_command_without_roots_rights():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    (command,) = json.loads(last("ENTRYPOINT"))
    assert command in scripts
    assert last("USER") not in ("root", "0")
