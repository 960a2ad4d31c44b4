"""Pictures become (H, W, 3) uint8 RGB, whatever they are stored as."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from flowbench.errors import FlowBenchError
from flowbench.io import read_image, write_image


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".ppm", ".bmp", ".tiff"])
def test_lossless_round_trip(tmp_path, picture, suffix):
    write_image(tmp_path / f"picture{suffix}", picture)
    np.testing.assert_array_equal(read_image(tmp_path / f"picture{suffix}"), picture)
    assert os.listdir(tmp_path) == [f"picture{suffix}"]


def test_first_channel_is_red(tmp_path):
    write_image(tmp_path / "red.png", np.full((4, 4, 3), (255, 0, 0), np.uint8))
    assert cv2.imread(str(tmp_path / "red.png"))[0, 0].tolist() == [0, 0, 255]
    assert read_image(tmp_path / "red.png")[0, 0].tolist() == [255, 0, 0]


def test_grey_becomes_three_equal_channels(tmp_path, picture):
    grey = picture[..., 0].copy()
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, axis=-1))


def test_transparency_is_dropped(tmp_path, picture):
    cv2.imwrite(str(tmp_path / "alpha.png"), np.dstack([picture[..., ::-1], picture[..., 0]]))
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png"), picture)


def test_sixteen_bits_are_scaled_to_eight(tmp_path, picture):
    cv2.imwrite(str(tmp_path / "deep.png"), picture[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), picture)


def test_float_picture_is_an_error(tmp_path):
    cv2.imwrite(str(tmp_path / "depth.tiff"), np.zeros((4, 4, 3), np.float32))
    with pytest.raises(FlowBenchError, match=r"depth\.tiff.*float32"):
        read_image(tmp_path / "depth.tiff")


def test_missing_empty_damaged_and_foreign_files_are_errors_that_name_them(tmp_path, picture):
    with pytest.raises(FlowBenchError, match=r"gone\.png: no such file"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(FlowBenchError, match="cannot be read"):
        read_image(tmp_path)
    write_image(tmp_path / "whole.png", picture)
    whole = (tmp_path / "whole.png").read_bytes()
    for name, data in {"empty.png": b"", "text.png": b"no picture", "cut.png": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FlowBenchError, match=name):
            read_image(tmp_path / name)


def test_what_is_no_picture_is_not_written(tmp_path, picture):
    with pytest.raises(FlowBenchError, match=r"a\.gif.*Known"):
        write_image(tmp_path / "a.gif", picture)
    with pytest.raises(FlowBenchError, match=r"a\.png.*float64"):
        write_image(tmp_path / "a.png", picture / 255)
    with pytest.raises(FlowBenchError, match=r"a\.png.*\(20, 30\)"):
        write_image(tmp_path / "a.png", picture[..., 0])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("header", "kind", "largest"),
    [("P5\n4 2\n4095\n", ">u2", 4095), ("P5\n4 2\n100\n", "u1", 100), ("P5 4 2 255 ", "u1", 255)],
)
def test_a_grey_map_says_its_own_white(tmp_path, header, kind, largest):
    values = np.array([[0, largest // 4, largest // 2, largest]] * 2)
    (tmp_path / "grey.pgm").write_bytes(header.encode() + values.astype(kind).tobytes())
    expected = np.floor(values * 255 / largest + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.pgm")[..., 0], expected)


def test_a_reduced_copy_within_a_tiff_file_is_no_page(tmp_path):
    full, small = (Image.fromarray(np.full(size, 90, np.uint8)) for size in ((8, 8), (4, 4)))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    full.save(tmp_path / "preview.tif", save_all=True, append_images=[small])
    assert read_image(tmp_path / "preview.tif").shape == (8, 8, 3)
