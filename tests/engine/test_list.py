"""What there is, listed: without a network, and without leaving anything behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.runs import ROOT, run_here

from flowbench.configs import config_folder
from flowbench.engine.listing import listing
from flowbench.pretrained import all_weights


@pytest.fixture
def listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FLOWBENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "data/Sintel").mkdir(parents=True)
    (tmp_path / "cache/weights").mkdir(parents=True)
    (tmp_path / "cache/weights/raft-small.pth").write_bytes(bytes(2_000_000))

    def run(*words):
        ended = run_here(listing, "list", *words)
        assert ended.code == 0, ended.told
        return ended

    return run


def test_every_model_data_set_and_file_of_weights_is_listed(listed, tmp_path):
    found = listed().result
    options = {group: {path.stem for path in (config_folder() / group).glob("*.yaml")} for group in ("model", "data")}
    assert {row["model"] for row in found["models"]} == options["model"]
    assert {row["model"]: row["parameters"] for row in found["models"]}["raft"] == 5_257_536
    there = {row["data"]: row["there"] for row in found["data"]}
    assert there.keys() == options["data"]
    assert (there["sintel"], there["kitti"], there["synthetic"]) == (True, False, None)
    assert len(found["weights"]) == len(all_weights())
    assert not Path("outputs").exists()


def test_weights_say_whether_they_are_shipped_cached_or_to_be_had(listed, monkeypatch):
    rows = {row["weights"]: row for row in json.loads(listed("what=weights", "format=json").stdout)["weights"]}
    state = {name: (row["file"], row["MB"]) for name, row in rows.items()}
    assert state["fastflownet"] == ("shipped", 2.74)
    assert state["raft_small-things-princeton"] == ("cached", 2.0)
    assert state["raft-things"][0] == "download, untried"
    assert state["deqflow_h-things"] == ("by hand", None)
    assert rows["raft-things-torchvision_v2"]["link"].startswith("https://")
    assert rows["raft-things-torchvision_v2"]["figures"]["sintel clean"] == 1.3822


def test_the_program_takes_what_is_listed_as_a_word(tmp_path):
    command = [sys.executable, ROOT / "tools/list.py", "data"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    assert "datasets/Sintel" in ended.stdout
    assert "raft_small" not in ended.stdout
    assert list(tmp_path.iterdir()) == []
