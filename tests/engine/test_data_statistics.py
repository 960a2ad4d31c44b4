"""The statistics of two data sets side by side, as a user asks for them."""

import pytest
from support.runs import rows, run_here

from flowbench.data.sample_trees import write_tree
from flowbench.engine.data_statistics import data_statistics


@pytest.fixture
def described(tmp_path):
    def run(*words):
        ended = run_here(data_statistics, "data_statistics", *words, "at_most=3", f"hydra.run.dir={tmp_path / 'run'}")
        file = tmp_path / "run/statistics.csv"
        return ended, rows(file) if file.exists() else []

    return run


def test_scenes_are_set_beside_a_data_set(described, tmp_path):
    write_tree("sintel", tmp_path / "Sintel", pairs=3, size=(32, 48))
    words = ("data/scenes=rich", "data@beside=sintel", f"paths.sintel={tmp_path / 'Sintel'}", "size=[64,96]")
    ended, (ours, theirs) = described("data=synthetic", "data.scenes.size=[64,96]", *words)
    assert ended.code == 0
    assert (ours["pairs of"], theirs["pairs of"]) == ("synthetic (data)", "sintel (beside)")
    for row in (ours, theirs):
        assert row["pairs"] == "3"
        assert float(row["contrast"]) > 0
        assert float(row["mean flow (px)"]) > 0
        assert 0 <= float(row["occluded (%)"]) <= 100
    assert "synthetic (data)" in ended.told
    page = (tmp_path / "run/statistics.html").read_text()
    assert page.count("<figure>") == 2
    assert "sintel (beside)" in page


def test_one_data_set_stands_alone_at_its_own_size(described):
    ended, (row,) = described("data=synthetic", "data.scenes.size=[64,96]", "size=null")
    assert ended.code == 0
    assert row["pairs of"] == "synthetic"
