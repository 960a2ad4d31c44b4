from pathlib import Path

import pytest

from flowbench.errors import FlowBenchError
from flowbench.io import read_image, write_image
from flowbench.io.frames import open_images
from flowbench.io.names import inside


@pytest.mark.parametrize("name", ["a.flo", "a/b.flo", "..a", "a..b/c...flo", "Größe (1)", "."])
def test_names_that_lie_inside(name):
    assert inside(Path("folder"), name) == Path("folder", name)


@pytest.mark.parametrize("name", ["..", "../a", "a/../../b", "a/..", "/a", "\\a", "a\\..\\b", "C:a", "C:\\a", "a\0b"])
def test_names_that_lead_out_are_errors(name):
    with pytest.raises(FlowBenchError, match="cannot name a file in 'folder'"):
        inside(Path("folder"), name)


def test_frames_of_folders_above_are_named_without_the_way_up(tmp_path, monkeypatch):
    picture = read_image("assets/sintel/frame_0016.png")[:64, :64]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for path in ("a.png", "../a.png", "../b/a.png"):
        write_image(Path(path), picture)
    names = open_images(["a.png", "../a.png", "../b/a.png"]).names
    assert names == ["here/a", "a", "b/a"]
