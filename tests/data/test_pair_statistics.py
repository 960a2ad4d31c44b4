"""Statistics of pairs, on pairs whose figures are known."""

import numpy as np
import pytest

from flowbench.data.pair_statistics import octave_powers, pair_statistics, resized
from flowbench.structures import FlowSample

SIZE = (96, 128)


def pair(image, flow=(0.0, 0.0), occluded=None, valid=None):
    height, width = image.shape
    picture = np.repeat(np.round(image).astype(np.uint8)[..., None], 3, axis=2)
    field = np.broadcast_to(np.float32(flow), (height, width, 2)).copy()
    valid = np.ones(image.shape, bool) if valid is None else valid
    return FlowSample(picture, picture, field, valid, occluded, "a/pair")


def wave(length, size=SIZE):
    return 128 + 100 * np.sin(2 * np.pi * np.arange(size[1]) / length) * np.ones(size)


@pytest.mark.parametrize(("length", "octave"), [(3, 0), (6, 1), (12, 2), (24, 3), (48, 4)])
def test_a_wave_has_its_power_in_its_own_octave(length, octave):
    powers = octave_powers(wave(length, (128, 512)))
    assert np.argmax(powers) == octave
    # A sinusoid's variance is half of its amplitude squared.
    assert powers[octave] == pytest.approx(100**2 / 2, rel=0.1)


def test_tones_and_motion_are_counted():
    image = np.full(SIZE, 200.0)
    image[:24] = 10
    occluded = np.zeros(SIZE, bool)
    occluded[:, :32] = True
    found = pair_statistics([pair(image, (32.5, 0.0), occluded), pair(np.full(SIZE, 50.0))])
    assert found["contrast"] == pytest.approx(image.std() / 2)
    assert found["darker than 32 (%)"] == pytest.approx(25 / 2)
    assert found["mean flow (px)"] == pytest.approx(32.5 / 2)
    assert (found["moves > 16 px (%)"], found["moves > 32 px (%)"]) == (50, 50)
    assert found["leaves the picture (%)"] == pytest.approx(100 * 33 / 128 / 2)
    # Of the one pair that knows.
    assert found["occluded (%)"] == 25


def test_unknown_flow_is_not_counted():
    valid = np.zeros(SIZE, bool)
    valid[:10] = True
    sample = pair(np.full(SIZE, 50.0), (3.0, 4.0), valid=valid)
    sample.flow[~valid] = 1e9
    assert pair_statistics([sample])["mean flow (px)"] == pytest.approx(5)
    assert np.isnan(pair_statistics([pair(np.full(SIZE, 50.0), valid=np.zeros(SIZE, bool))])["mean flow (px)"])


def test_a_pair_at_half_the_size_moves_half_as_far():
    small = resized(pair(wave(24), (8.0, -6.0)), (48, 64))
    assert small.image1.shape == (48, 64, 3)
    np.testing.assert_allclose(small.flow[5, 5], (4, -3))
    assert small.valid.all()
