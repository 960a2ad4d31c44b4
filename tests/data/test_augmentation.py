from dataclasses import replace

import numpy as np
import pytest
from support.batches import addressed_sample, shifted_noise

from flowbench.data.augmentation.base import ImageNoise, RandomCrop, for_crop
from flowbench.data.augmentation.scaling import RandomScale
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


def test_crops_without_a_margin_are_drawn_as_ever():
    sample = addressed_sample(0)
    found = [tuple(RandomCrop((7, 9))(sample, np.random.default_rng(seed)).flow[0, 0]) for seed in range(50)]
    generators = [np.random.default_rng(seed) for seed in range(50)]
    rows_first = [(generator.integers(0, 14), generator.integers(0, 22)) for generator in generators]
    assert found == [(left, top) for top, left in rows_first]


def test_margins_favour_the_lower_edge_and_both_sides():
    generator, sample = np.random.default_rng(0), addressed_sample(0, height=10, width=14)
    crop = RandomCrop((6, 8), margin=(5, 4))
    places = np.array([crop(sample, generator).flow[0, 0] for _ in range(3000)]).astype(int)
    # Drawn from [0, 4 + 5) downwards and from [-4, 6 + 4) to the right, then moved to [0, 4] and [0, 6].
    down = np.bincount(places[:, 1]) / 3000
    right = np.bincount(places[:, 0]) / 3000
    assert down == pytest.approx(np.array([1, 1, 1, 1, 5]) / 9, abs=0.03)
    assert right == pytest.approx(np.array([5, 1, 1, 1, 1, 1, 4]) / 14, abs=0.03)


def test_a_crop_is_appended_and_told_to_what_asks_for_it():
    noise, scaling = ImageNoise(), RandomScale(scale=(0, 1))
    assert for_crop([noise, scaling], [48, 64]) == [noise, replace(scaling, crop=(48, 64)), RandomCrop((48, 64))]
    assert for_crop([], (48, 64)) == [RandomCrop((48, 64))]


def test_a_crop_in_the_list_is_the_only_one():
    margin = RandomCrop(margin=(20, 50))
    assert for_crop([margin, ImageNoise()], (48, 64)) == [RandomCrop((48, 64), (20, 50)), ImageNoise()]
    assert for_crop([RandomCrop((32, 40))], (48, 64)) == [RandomCrop((32, 40))]


def test_without_a_crop_pictures_stay_whole():
    (crop,) = for_crop([RandomCrop(margin=(20, 50))], None)
    sample = addressed_sample(0)
    assert crop(sample, np.random.default_rng(0)) is sample


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"size": (0, 4)}, "size"), ({"size": 64}, "size"), ({"margin": (-1, 0)}, "margin"), ({"margin": 20}, "margin")],
)
def test_crops_that_make_no_sense_are_refused(settings, field):
    with pytest.raises(FlowBenchError, match=rf"RandomCrop\.{field} is .*: give \["):
        RandomCrop(**settings)


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
