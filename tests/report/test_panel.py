"""Panels: their layout, their scales, and pixels whose truth is unknown."""

import numpy as np
import pytest

from flowbench.report.colour import flow_to_image
from flowbench.report.drawing import CAPTION_HEIGHT, captioned, scaled
from flowbench.report.panel import panel, stack_panels

HEIGHT, WIDTH = 96, 128


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    image1, image2 = rng.integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    truth = np.stack([0.1 * x, 0.05 * y - 2], axis=-1).astype(np.float32)
    return image1, image2, truth


def cell(picture, row, column, width):
    """The picture part of a cell of a panel without title."""
    height = HEIGHT * width // WIDTH
    top = row * (height + CAPTION_HEIGHT + 4) + CAPTION_HEIGHT
    left = column * (width + 4)
    return picture[top : top + height, left : left + width]


def test_panel_with_truth_has_six_pictures(sample):
    image1, image2, truth = sample
    picture = panel(image1, image2, truth + 1, truth, cell_width=256)
    assert picture.shape == (2 * (192 + CAPTION_HEIGHT) + 4, 3 * 256 + 2 * 4, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(cell(picture, 0, 0, 256)[::2, ::2], image1)
    np.testing.assert_array_equal(cell(picture, 0, 1, 256)[::2, ::2], image2)
    np.testing.assert_array_equal(cell(picture, 1, 0, 256)[::2, ::2], flow_to_image(truth))


def test_truth_and_estimate_share_one_scale(sample):
    image1, image2, truth = sample
    picture = panel(image1, image2, 0.5 * truth, truth, cell_width=WIDTH)
    longest = float(np.linalg.norm(truth, axis=-1).max())
    np.testing.assert_array_equal(cell(picture, 1, 1, WIDTH), flow_to_image(0.5 * truth, max_flow=longest))


def test_error_map_is_black_where_the_estimate_is_right_and_grey_where_the_truth_is_unknown(sample):
    image1, image2, truth = sample
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[:20] = False
    estimate = truth.copy()
    estimate[60:] += 3
    picture = panel(image1, image2, estimate, truth, valid, cell_width=WIDTH)
    error = cell(picture, 1, 2, WIDTH)
    assert (error[:20] == 128).all()
    assert (cell(picture, 1, 0, WIDTH)[:20] == 128).all()
    assert error[20:60].max() < 10
    assert error[60:].sum(axis=-1).min() > 500


def test_panel_without_truth_has_four_pictures(sample):
    image1, image2, flow = sample
    picture = panel(image1, image2, flow, cell_width=WIDTH)
    assert picture.shape == (2 * (HEIGHT + CAPTION_HEIGHT) + 4, 2 * WIDTH + 4, 3)
    np.testing.assert_array_equal(cell(picture, 1, 1, WIDTH), flow_to_image(flow))


def test_panels_of_one_row_stack(sample):
    image1, image2, truth = sample
    rows = [panel(image1, image2, truth, truth, title="größe/0001", rows=1), panel(image1, image2, truth, rows=1)]
    stacked = stack_panels(rows)
    assert stacked.shape == (rows[0].shape[0] + 4 + rows[1].shape[0], 6 * 480 + 5 * 4, 3)
    np.testing.assert_array_equal(stacked[: rows[0].shape[0]], rows[0])


@pytest.mark.parametrize("valid", [None, np.zeros((HEIGHT, WIDTH), bool)])
def test_estimate_that_diverged_and_truth_without_a_pixel_still_give_a_panel(sample, valid):
    image1, image2, truth = sample
    picture = panel(image1, image2, np.full_like(truth, np.nan), truth, valid, cell_width=WIDTH)
    assert not cell(picture, 1, 1, WIDTH).any()
    assert (cell(picture, 1, 2, WIDTH) == 128).all()


def test_differing_sizes_are_an_error_that_names_them(sample):
    image1, image2, truth = sample
    with pytest.raises(ValueError, match=r"truth has shape \(95, 128, 2\), image1 \(96, 128, 3\)"):
        panel(image1, image2, truth, truth[1:])


def test_sparse_pixels_keep_their_colours_when_shrunk():
    image, drawn = np.full((8, 8, 3), 128, np.uint8), np.zeros((8, 8), bool)
    image[::2, ::4], drawn[::2, ::4] = (200, 10, 30), True
    assert (scaled(image, 2, drawn) == (200, 10, 30)).all()
    assert (scaled(image, 2, np.zeros((8, 8), bool))[0, 0] != (200, 10, 30)).all()


def test_long_caption_ends_in_dots_within_the_picture():
    picture = captioned(np.zeros((10, 200, 3), np.uint8), "a caption that is far too long " * 4)
    assert picture.shape == (10 + CAPTION_HEIGHT, 200, 3)
    assert (picture[:CAPTION_HEIGHT, -6:] == picture[0, 0]).all()
    assert picture[:CAPTION_HEIGHT, :180].max() > 200
