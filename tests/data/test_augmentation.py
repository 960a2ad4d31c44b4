from dataclasses import replace

import numpy as np
import pytest
from support.batches import addressed_sample, shifted_noise

from flowbench.data.augmentation import ImageNoise, RandomCrop
from flowbench.errors import FlowBenchError


def crops(size: tuple[int, int], count: int) -> list:
    generator, sample = np.random.default_rng(0), addressed_sample(0, height=6, width=8)
    return [RandomCrop(size)(sample, generator) for _ in range(count)]


def test_a_crop_cuts_every_field_at_the_same_place():
    for crop in crops((3, 5), 20):
        x, y = crop.flow[..., 0], crop.flow[..., 1]
        assert crop.flow.shape == (3, 5, 2)
        assert np.array_equal(x - x[0, 0], np.mgrid[:3, :5][1])
        assert np.array_equal(crop.image1[..., 0], x)
        assert np.array_equal(crop.image2[..., 1], y + 100)
        assert np.array_equal(crop.valid, (x + y) % 2 == 0)
        assert np.array_equal(crop.occluded, (x + y) % 3 == 0)
        assert crop.key == "addressed/0"


def test_every_place_is_drawn_evenly():
    corners = [tuple(crop.flow[0, 0].astype(int)) for crop in crops((5, 6), 1200)]
    places = {(x, y) for x in range(3) for y in range(2)}
    assert set(corners) == places
    assert all(corners.count(place) == pytest.approx(200, abs=60) for place in places)


def test_a_crop_of_the_whole_picture_is_the_picture():
    (crop,) = crops((6, 8), 1)
    assert np.array_equal(crop.flow, addressed_sample(0, height=6, width=8).flow)


def test_a_sample_without_occlusion_stays_without():
    sample = replace(addressed_sample(0), occluded=None)
    assert RandomCrop((4, 4))(sample, np.random.default_rng(0)).occluded is None


@pytest.mark.parametrize("size", [(21, 30), (20, 31)])
def test_a_crop_larger_than_the_sample_names_it(size):
    with pytest.raises(
        FlowBenchError, match=rf"{size[0]}x{size[1]} .* larger than sample addressed/4, which .* is 20x30"
    ):
        RandomCrop(size)(addressed_sample(4), np.random.default_rng(0))


def test_noise_has_the_spread_that_was_drawn_and_no_bias():
    grey = np.full((100, 100, 3), 128, np.uint8)
    sample = replace(shifted_noise(0, 100, 100), image1=grey, image2=grey)
    generator = np.random.default_rng(0)
    spreads = []
    for _ in range(100):
        noisy = ImageNoise(max_std=10)(sample, generator)
        first, second = (image.astype(float) - 128 for image in (noisy.image1, noisy.image2))
        assert abs(first.mean()) < 0.5
        assert first.std() == pytest.approx(second.std(), rel=0.1, abs=0.1)
        assert abs((first * second).mean()) < 2.0
        spreads.append(first.std())
    assert max(spreads) < 10.5
    assert np.mean(spreads) == pytest.approx(5, abs=1)
    assert np.array_equal(noisy.flow, sample.flow)


def test_noise_stays_within_the_grey_levels():
    black_and_white = np.zeros((50, 50, 3), np.uint8)
    black_and_white[25:] = 255
    sample = replace(shifted_noise(0, 50, 50), image1=black_and_white)
    image = ImageNoise(max_std=20)(sample, np.random.default_rng(1)).image1
    assert image.dtype == np.uint8
    assert image[:25].max() < 128 < image[25:].min()


def test_the_sample_that_was_given_is_not_changed():
    sample = shifted_noise(0)
    before = sample.image1.copy()
    ImageNoise(max_std=20)(sample, np.random.default_rng(0))
    assert np.array_equal(sample.image1, before)
