"""Photographs and cut-outs chosen among pictures of all kinds."""

import cv2
import numpy as np
import pytest
from support.runs import rows, run_here

from flowbench.data.scenes import SyntheticScenes
from flowbench.engine.choose_pictures import choose_pictures


@pytest.fixture
def pictures(tmp_path):
    """A folder with two photographs, a copy of one, a cut-out, and what is neither."""
    generator = np.random.default_rng(0)

    def coloured(*size):
        small = generator.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
        noise = generator.normal(0, 12, (*size, 3))
        return np.clip(cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC) + noise, 0, 255).astype(np.uint8)

    def write(name, picture):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)

    photograph = coloured(400, 1200)
    write("b/photograph.png", photograph)
    write("b/smaller_copy.jpg", cv2.resize(photograph, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA))
    write("a/other.jpg", coloured(300, 320))
    write("small.png", coloured(64, 64))
    write("skipped_normal.png", coloured(400, 400))
    write("plain.png", np.full((400, 400, 3), 90, np.uint8))
    write("drawing.png", cv2.circle(np.full((400, 400, 3), 90, np.uint8), (200, 200), 150, (20, 200, 40), -1))
    alpha = cv2.circle(np.zeros((480, 480), np.uint8), (240, 240), 150, 255, -1)
    write("cutout.png", np.dstack([coloured(480, 480), alpha]))
    (tmp_path / "pictures/notes.png").write_text("not a picture")
    return tmp_path / "pictures"


def choose(*words):
    return run_here(choose_pictures, "choose_pictures", *words)


def test_photographs_and_cutouts_are_chosen_and_scenes_are_made_of_them(pictures, tmp_path):
    to = tmp_path / "chosen"
    run = f"hydra.run.dir={tmp_path / 'run'}"
    ended = choose(f"folder={pictures}", f"to={to}", run)
    assert ended.code == 0
    assert "2 photographs, 1 cut-outs" in ended.told
    assert [(row["file"], row["source"]) for row in rows(to / "sources.csv")] == [
        ("photographs/0000.jpg", "a/other.jpg"),
        ("photographs/0001.jpg", "b/photograph.png"),
        ("cutouts/0000.png", "cutout.png"),
    ]
    assert cv2.imread(str(to / "photographs/0001.jpg")).shape == (320, 960, 3)
    assert cv2.imread(str(to / "cutouts/0000.png"), cv2.IMREAD_UNCHANGED).shape == (384, 384, 4)
    scenes = SyntheticScenes(
        size=(64, 96), count=2, split="train", textures=f"{to}/photographs/*", cutouts=f"{to}/cutouts/*"
    )
    assert scenes[1].flow.any()

    again = choose(f"folder={pictures}", f"to={to}", run)
    assert again.code == 1
    assert "is there already: give a new folder" in again.told


def test_a_folder_without_pictures_is_refused(tmp_path):
    run = f"hydra.run.dir={tmp_path / 'run'}"
    assert "No to was named: add to=<folder>." in choose("folder=/nowhere", run).told
    ended = choose("folder=/nowhere", f"to={tmp_path / 'chosen'}", run)
    assert "folder=/nowhere is no folder" in ended.told
    (tmp_path / "empty").mkdir()
    ended = choose(f"folder={tmp_path / 'empty'}", f"to={tmp_path / 'chosen'}", run)
    assert ended.code == 1
    assert "can be used: photographs of at least 256 pixels were looked for" in ended.told
