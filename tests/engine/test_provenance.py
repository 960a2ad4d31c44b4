"""The state of the code that a run remembers, from a checkout whose files have been changed."""

import json
import os
import shutil
import subprocess

import pytest
from support.runs import NETWORK, ROOT, SMALL, run

NAMES = ("train.py", "two words.py", "größe.py", "->.py", "untouched.py", "renamed.py", "removed.py", "staged.py")


@pytest.fixture
def checkout(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for folder in ("flowbench", "conf"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in NAMES:
        shutil.copy(ROOT / "train.py", checkout / name)
    return checkout


def git(checkout, *words):
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    command = ["git", *who, *words]
    return subprocess.run(command, cwd=checkout, env=os.environ | plain, check=True, capture_output=True, text=True)


def test_a_run_names_its_commit_and_the_files_that_differ_from_it(checkout):
    git(checkout, "init", "-q")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "first")
    for name in ("train.py", "two words.py", "größe.py", "->.py", "flowbench/errors.py", "staged.py"):
        with open(checkout / name, "a") as file:
            file.write("# changed\n")
    git(checkout, "add", "staged.py")
    git(checkout, "mv", "renamed.py", "new name.py")
    (checkout / "removed.py").unlink()
    (checkout / "untracked.py").touch()
    folder = checkout / "outputs"
    ended = run(checkout / "train.py", *NETWORK, *SMALL, "schedule.steps=1", f"hydra.run.dir={folder}", cwd=checkout)
    assert ended.code == 0, ended.told
    state = json.loads((folder / "provenance.json").read_text())["git"]
    assert state["commit"] == git(checkout, "rev-parse", "HEAD").stdout.strip()
    assert set(state["changed_files"]) == {
        *("train.py", "two words.py", "größe.py", "->.py", "flowbench/errors.py", "staged.py", "removed.py"),
        *("renamed.py", "new name.py"),
    }
