"""The field's colour coding against reference pictures, and what a reader may rely on in it."""

import json
from pathlib import Path

import numpy as np
import pytest

from flowbench.errors import FlowBenchError
from flowbench.io import read_image
from flowbench.report.colour import (
    colour_wheel,
    error_scale_image,
    error_to_image,
    flow_to_image,
    longest_flow,
    wheel_image,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "util_flow_viz"


@pytest.fixture
def golden_flow():
    """The formula of the reference pictures (util_flow_viz/case.json, k = 0)."""
    y, x = np.mgrid[:64, :64].astype(np.float64)
    u = 3 * np.sin(2 * np.pi * x / 64) + 0.1 * y
    v = 2 * np.cos(2 * np.pi * y / 64) - 0.05 * x
    return np.stack([u, v], axis=-1).astype(np.float32)


def difference(image1, image2):
    return np.abs(image1.astype(int) - image2.astype(int)).max()


def test_wheel_equals_the_reference():
    assert colour_wheel().tolist() == json.loads((GOLDEN / "case.json").read_text())["colorwheel"]


def test_colours_equal_the_reference(golden_flow):
    assert difference(flow_to_image(golden_flow), read_image(GOLDEN / "rgb.png")) <= 1


def test_colours_equal_the_clipped_reference(golden_flow):
    # The reference clips to [0, 2], which loses negative components: here only to have a second picture.
    assert difference(flow_to_image(np.clip(golden_flow, 0, 2)), read_image(GOLDEN / "clip.png")) <= 1


def test_common_scale_gives_equal_flow_equal_colours():
    short, both = np.full((1, 2, 2), 3.0), np.full((1, 2, 2), 3.0)
    both[0, 1] = 30.0
    assert difference(flow_to_image(short)[0, 0], flow_to_image(both)[0, 0]) > 50
    assert difference(flow_to_image(short, max_flow=50)[0, 0], flow_to_image(both, max_flow=50)[0, 0]) == 0


def test_unknown_flow_is_black_and_does_not_set_the_scale(golden_flow):
    flow, valid = golden_flow.copy(), np.ones((64, 64), bool)
    flow[3, 4], flow[5, 6] = np.nan, 1e10
    valid[5, 6] = False
    image = flow_to_image(flow, valid=valid)
    assert not image[3, 4].any()
    assert not image[5, 6].any()
    untouched = np.ones((64, 64), bool)
    untouched[3, 4] = untouched[5, 6] = False
    assert difference(image[untouched], flow_to_image(golden_flow)[untouched]) <= 1
    assert longest_flow(flow, valid) == pytest.approx(np.linalg.norm(golden_flow[untouched], axis=-1).max())


def test_no_motion_is_white_and_nothing_known_is_black():
    assert (flow_to_image(np.zeros((2, 2, 2))) == 255).all()
    assert not flow_to_image(np.full((2, 2, 2), np.nan)).any()


def test_channels_first_is_an_error_that_tells_the_shape():
    with pytest.raises(FlowBenchError, match=r"\(2, 8, 8\).*permute"):
        flow_to_image(np.zeros((2, 8, 8)))


def test_error_colours_brighten_with_the_error_and_leave_grey_for_unknown():
    error = np.array([[0.0, 1.0, 2.0, 3.0, 4.0, 9.0, np.nan, 1.0]])
    image = error_to_image(error, 4.0, valid=np.arange(8)[None] < 7)
    brightness = image[0, :6].sum(axis=-1)
    assert (np.diff(brightness[:5].astype(int)) > 30).all()
    assert brightness[5] == brightness[4]
    assert image[0, 6:].tolist() == [[128, 128, 128]] * 2
    np.testing.assert_array_equal(error_scale_image(5, 1)[0], image[0, :5])


def test_wheel_image_shows_each_flow_where_it_points_to():
    wheel = wheel_image(101)
    rightwards, downwards = np.array([[[1.0, 0.0]]]), np.array([[[0.0, 1.0]]])
    assert difference(wheel[50, 100], flow_to_image(rightwards, max_flow=1)[0, 0]) <= 1
    assert difference(wheel[100, 50], flow_to_image(downwards, max_flow=1)[0, 0]) <= 1
    assert (wheel[50, 50] == 255).all()
    assert (wheel[0, 0] == 255).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flow": np.zeros((1, 8, 8, 2))}, "Give one pair of the batch"),
        ({"valid": np.ones((8, 1), bool)}, r"valid has shape \(8, 1\); \(8, 8\) is needed"),
        ({"max_flow": -1.0}, "max_flow=-1.0: a length in pixels"),
        ({"max_flow": float("nan")}, "max_flow=nan"),
    ],
)
def test_what_is_no_flow_mask_or_scale_is_an_error(changes, message):
    with pytest.raises(FlowBenchError, match=message):
        flow_to_image(**{"flow": np.zeros((8, 8, 2))} | changes)
