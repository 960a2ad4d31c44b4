"""Masks stored as pictures become (H, W) bool."""

import cv2
import numpy as np
import pytest

from flowbench.errors import FlowBenchError
from flowbench.io import read_mask


@pytest.fixture
def mask():
    return np.random.default_rng(0).random((6, 9)) > 0.5


@pytest.mark.parametrize("value", [1, 128, 255])
def test_grey_mask_is_true_where_not_black(tmp_path, mask, value):
    cv2.imwrite(str(tmp_path / "mask.png"), mask.astype(np.uint8) * value)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), mask)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_coloured_mask_is_true_where_any_channel_is_not_black(tmp_path, mask, channel):
    picture = np.zeros((*mask.shape, 3), np.uint8)
    picture[..., channel] = mask * 3
    cv2.imwrite(str(tmp_path / "mask.png"), picture)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), mask)


def test_masks_of_one_bit_and_of_sixteen_are_read(tmp_path, mask):
    cv2.imwrite(str(tmp_path / "deep.png"), mask.astype(np.uint16))
    cv2.imwrite(str(tmp_path / "bit.png"), mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])
    np.testing.assert_array_equal(read_mask(tmp_path / "deep.png"), mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "bit.png"), mask)


def test_opaque_black_is_false(tmp_path, mask):
    picture = np.dstack([mask * 255, mask * 255, mask * 255, np.full(mask.shape, 255)]).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "mask.png"), picture)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), mask)


def test_what_is_no_mask_is_an_error_that_names_it(tmp_path, mask):
    cv2.imwrite(str(tmp_path / "depth.tiff"), mask.astype(np.float32))
    with pytest.raises(FlowBenchError, match=r"depth\.tiff.*float32.*integers"):
        read_mask(tmp_path / "depth.tiff")
    with pytest.raises(FlowBenchError, match=r"gone\.png: no such file"):
        read_mask(tmp_path / "gone.png")
