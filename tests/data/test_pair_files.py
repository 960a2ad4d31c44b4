"""What every data set of files has in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowbench.data.pair_files import PairFiles, PairPaths, read_pair
from flowbench.errors import FlowBenchError
from flowbench.io import write_flow, write_image

HEIGHT, WIDTH = 6, 8


class Numbers(PairFiles):
    """Pairs that are names only."""

    title = "Numbers"
    root_key = "paths.numbers"
    tree = "    0.png, 1.png, ..."

    def list_pairs(self) -> list[PairPaths]:
        return [
            PairPaths(f"numbers/{number}", self.folder(".") / f"{number}.png", Path("b.png")) for number in range(10)
        ]


@pytest.fixture
def paths(tmp_path) -> PairPaths:
    """A pair whose flow is (x, y) and whose second picture is the first one mirrored."""
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    pair = PairPaths("pair", tmp_path / "first.png", tmp_path / "second.png", tmp_path / "flow.flo")
    write_image(pair.image1, image)
    write_image(pair.image2, image[:, ::-1])
    write_flow(pair.flow, coordinates(HEIGHT, WIDTH))
    return pair


def coordinates(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y], axis=-1).astype(np.float32)


def mask_picture(path: Path, mask: np.ndarray) -> Path:
    write_image(path, np.repeat(mask[..., None], 3, axis=-1).astype(np.uint8) * 255)
    return path


def changed(paths: PairPaths, **changes) -> PairPaths:
    return PairPaths(**{**vars(paths), **changes})


def test_nothing_is_looked_for_before_the_first_use(tmp_path):
    samples = Numbers(tmp_path / "not_there")
    with pytest.raises(FlowBenchError, match=r"no folder .*not_there.* Set paths\.numbers=<folder>"):
        len(samples)


def test_at_most_takes_pairs_evenly_spaced(tmp_path):
    assert [pair.key[-1] for pair in Numbers(tmp_path, at_most=4).pairs] == ["0", "2", "5", "7"]
    assert len(Numbers(tmp_path, at_most=4).all_pairs) == 10
    assert len(Numbers(tmp_path, at_most=50)) == len(Numbers(tmp_path)) == 10


def test_a_pair_is_read_as_it_was_written(paths):
    sample = read_pair(paths)
    np.testing.assert_array_equal(sample.image2, sample.image1[:, ::-1])
    np.testing.assert_array_equal(sample.flow, coordinates(HEIGHT, WIDTH))
    assert sample.valid.all()
    assert (sample.occluded, sample.key) == (None, "pair")
    assert paths.files == [paths.image1, paths.image2, paths.flow]


def test_without_truth_no_pixel_is_valid(paths):
    sample = read_pair(changed(paths, flow=None))
    assert sample.flow.shape == (HEIGHT, WIDTH, 2)
    assert not sample.valid.any()


def test_masks_say_what_is_occluded_and_what_is_invalid(paths, tmp_path):
    left, top = np.indices((HEIGHT, WIDTH))[1] < 3, np.indices((HEIGHT, WIDTH))[0] < 2
    np.save(tmp_path / "invalid.npy", np.where(top, np.uint8(7), np.uint8(0)))
    occluded = mask_picture(tmp_path / "occluded.png", left)
    sample = read_pair(changed(paths, occluded=occluded, invalid=tmp_path / "invalid.npy"))
    np.testing.assert_array_equal(sample.occluded, left)
    np.testing.assert_array_equal(sample.valid, ~top)


def test_what_the_flow_of_visible_points_lacks_is_occluded(paths, tmp_path):
    rng = np.random.default_rng(1)
    valid = rng.random((HEIGHT, WIDTH)) < 0.7
    visible = valid & (rng.random((HEIGHT, WIDTH)) < 0.5)
    pair = changed(paths, flow=tmp_path / "occ.png", visible=tmp_path / "noc.png")
    write_flow(pair.flow, coordinates(HEIGHT, WIDTH), valid)
    write_flow(pair.visible, coordinates(HEIGHT, WIDTH), visible)
    sample = read_pair(pair)
    np.testing.assert_array_equal(sample.valid, valid)
    np.testing.assert_array_equal(sample.occluded, valid & ~visible)


def test_flow_stored_at_twice_the_size_is_taken_at_every_other_pixel(paths):
    write_flow(paths.flow, coordinates(2 * HEIGHT, 2 * WIDTH))
    flow = read_pair(changed(paths, flow_step=2)).flow
    np.testing.assert_array_equal(flow, 2 * coordinates(HEIGHT, WIDTH))
    assert flow.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("part", ["image2", "flow", "visible", "occluded", "invalid"])
def test_a_file_of_another_size_is_named(part, paths, tmp_path):
    small = (HEIGHT - 1, WIDTH)
    if part == "image2":
        write_image(paths.image2, np.zeros((*small, 3), np.uint8))
    elif part == "flow":
        write_flow(paths.flow, coordinates(*small))
    elif part == "visible":
        paths = changed(paths, visible=tmp_path / "noc.png")
        write_flow(paths.visible, coordinates(*small))
    else:
        paths = changed(paths, **{part: mask_picture(tmp_path / "mask.png", np.zeros(small, bool))})
    with pytest.raises(FlowBenchError, match=f"{getattr(paths, part)} is 8x5, but {paths.image1} is 8x6"):
        read_pair(paths)


@pytest.mark.parametrize("part", ["image1", "image2", "flow"])
def test_a_missing_file_is_named(part, paths):
    getattr(paths, part).unlink()
    with pytest.raises(FlowBenchError, match=f"{getattr(paths, part)}: no such file"):
        read_pair(paths)


def test_a_damaged_mask_is_named(paths, tmp_path):
    mask = tmp_path / "mask.npy"
    np.save(mask, np.zeros((HEIGHT, WIDTH), np.uint8))
    mask.write_bytes(mask.read_bytes()[:-3])
    with pytest.raises(FlowBenchError, match=f"{mask}: no whole .npy file"):
        read_pair(changed(paths, invalid=mask))
    np.save(mask, np.zeros((HEIGHT, WIDTH, 1), np.uint8))
    with pytest.raises(FlowBenchError, match=r"a mask of shape \(6, 8, 1\)"):
        read_pair(changed(paths, invalid=mask))
