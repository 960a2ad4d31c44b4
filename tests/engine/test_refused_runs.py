"""What refused runs leave behind: nothing, wherever they were told to run."""

import pytest
from filelock import FileLock
from support.runs import NETWORK, SMALL, run, run_here

from flowbench.engine.train import train

SETTINGS = (*NETWORK, *SMALL, "schedule.steps=1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    assert run_here(train, "train", *SETTINGS, f"hydra.run.dir={folder}").code == 0
    (folder / "train.log").write_text("of the first run\n")
    return folder


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in sorted(folder.rglob("*"))}


@pytest.mark.slow
def test_the_folder_of_another_run_stays_byte_for_byte_what_it_was(finished):
    """As processes: within this one, Hydra writes no log."""
    before = contents(finished)
    assert not (finished / ".hydra").exists()
    for words in ((f"hydra.run.dir={finished}", "seed=7"), (f"resume={finished}",)):
        ended = run("train.py", *SETTINGS, *words)
        assert ended.code == 1, ended.told
        assert contents(finished) == before
    with FileLock(finished / ".lock"):
        ended = run("train.py", f"resume={finished}")
    assert "Another program" in ended.told
    assert contents(finished) == before


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("schedule.crop=[128,128]", "The crop of 128x128"),
        ("data.scenes.size=[64,68]", "needs multiples of 8"),
        ("callbacks.best.monitor=val/eep", "is no metric of this run's validation"),
    ],
)
def test_a_run_that_is_refused_before_its_first_step_leaves_no_folder(word, told, tmp_path):
    ended = run_here(train, "train", *SETTINGS, word, "logger=tensorboard", f"hydra.run.dir={tmp_path / 'run'}")
    assert told in ended.told
    assert not (tmp_path / "run").exists()


def test_what_lay_in_the_folder_before_a_refused_run_stays(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    run_here(train, "train", *SETTINGS, "schedule.crop=[128,128]", f"hydra.run.dir={tmp_path}")
    assert (tmp_path / "notes.txt").read_text() == "mine"
