"""What the project shows at its door: version, documentation, targets of make, continuous integration."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()


def _leaves(nav) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [page for entry in (nav.values() if isinstance(nav, dict) else nav) for page in _leaves(entry)]


def test_the_citation_names_the_version_and_the_licence_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert citation["abstract"].rstrip(".") == PROJECT["description"]


def test_the_citation_has_the_paper_of_every_model():
    models = {path.stem for path in (ROOT / "conf/model").glob("*.yaml")}
    notes = " ".join(entry["notes"] for entry in yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"])
    named = {word for words in re.findall(r"\(model=(.*?)\)", notes) for word in words.split(", ")} - {"..."}
    assert named <= models
    assert {name.split("_")[0] for name in named} == {name.split("_")[0] for name in models}


def test_the_newest_version_of_the_changelog_is_that_of_the_package():
    versions = re.findall(r"^## \[(.*?)\](?: - (\d{4}-\d\d-\d\d))?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    released = [(name, date) for name, date in versions if name != "Unreleased"]
    assert released[0][0] == PROJECT["version"]
    assert all(date for _, date in released)


def test_every_page_of_the_documentation_is_in_the_navigation():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    pages = sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))
    assert sorted(_leaves(settings["nav"])) == pages


def test_the_site_loads_nothing_from_elsewhere():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert settings["theme"]["font"] is False
    assert not {"repo_url", "extra_javascript", "extra_css"} & settings.keys()


def test_make_alone_explains_every_target():
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[1].split()
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^make ([\w-]+) +\S", told, re.M) == targets


def test_every_package_of_the_extras_is_pinned():
    pinned = {_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    wanted = [
        *PROJECT["dependencies"],
        *(name for extra in PROJECT["optional-dependencies"].values() for name in extra),
    ]
    assert {_name(requirement) for requirement in wanted} <= pinned


def _name(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("hook", ["ruff", "ruff-format", "mypy"])
def test_hooks_run_the_tools_of_the_projects_own_environment(hook):
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (repository,) = settings["repos"]
    (found,) = [entry for entry in repository["hooks"] if entry["id"] == hook]
    assert (repository["repo"], found["language"]) == ("local", "system")
    assert found["entry"].startswith(".venv/bin/")


def test_continuous_integration_runs_the_suite_on_the_oldest_python_and_a_newer_one():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert versions[0] == PROJECT["requires-python"].removeprefix(">=")
    assert [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step] == ["make test"]
