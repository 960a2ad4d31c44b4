"""Scaling: dense truth is interpolated, sparse truth scattered, and both still lead from picture to picture."""

from dataclasses import replace

import numpy as np
import pytest
from support.batches import addressed_sample, shifted_noise
from support.warping import warping_error

from flowbench.data.augmentation.scaling import RandomScale, resize, resize_sparse
from flowbench.data.scenes import SyntheticScenes
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowSample

SIZES = [(24, 36), (31, 70), (13, 19), (10, 15)]  # of a picture of 20x30: larger, stretched, smaller, half


@pytest.fixture(scope="module")
def scenes() -> list[FlowSample]:
    dataset = SyntheticScenes(size=(192, 256), count=40, split="train", effects=None, static_fraction=0)
    return [dataset[index] for index in (0, 2, 7)]


def everywhere_valid(sample: FlowSample) -> FlowSample:
    return replace(sample, valid=np.ones_like(sample.valid))


def sources(new: int, old: int) -> np.ndarray:
    """Where each of `new` pixels lies among the `old`."""
    return (np.arange(new) + 0.5) * old / new - 0.5


def expected_valid(valid: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixel by pixel: whether all that a linear interpolation gives a weight to is valid."""
    result = np.zeros(size, bool)
    rows, columns = (_neighbours(new, old) for new, old in zip(size, valid.shape))
    for y, x in np.ndindex(size):
        result[y, x] = valid[np.ix_(rows[y], columns[x])].all()
    return result


def _neighbours(new: int, old: int) -> list[list[int]]:
    clipped = np.clip(sources(new, old), 0, old - 1).round(9)
    return [sorted({int(np.floor(place)), int(np.ceil(place))}) for place in clipped]


@pytest.mark.parametrize("size", [(300, 500), (192, 320), (150, 180)])
@pytest.mark.parametrize("how", [resize, resize_sparse])
def test_the_flow_still_leads_from_picture_to_picture(scenes, how, size):
    for sample in scenes:
        known = np.random.default_rng(0).random(sample.valid.shape) < 0.25
        resized = how(replace(sample, valid=known) if how is resize_sparse else sample, size)
        assert resized.image1.shape == (*size, 3)
        assert resized.image1.dtype == resized.image2.dtype == np.uint8
        assert resized.flow.dtype == np.float32
        # A flow in the old pixels, shorter or longer, would be noticed.
        wrong = replace(resized, flow=resized.flow * np.float32([256 / size[1], 192 / size[0]]))
        assert warping_error(resized) < 3
        assert warping_error(wrong) > 1.7 * warping_error(resized)


@pytest.mark.parametrize("size", SIZES)
def test_a_flow_that_grows_evenly_is_interpolated_exactly(size):
    sample = everywhere_valid(addressed_sample(0))
    resized = resize(sample, size)
    x, y = np.meshgrid(sources(size[1], 30).clip(0, 29), sources(size[0], 20).clip(0, 19))
    np.testing.assert_allclose(resized.flow, np.stack([x * size[1] / 30, y * size[0] / 20], -1), atol=1e-4)
    assert resized.valid.all()


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -1e30])
@pytest.mark.parametrize("size", SIZES)
def test_unknown_flow_spoils_nothing_beside_it(size, unknown):
    whole = everywhere_valid(addressed_sample(0))
    known = np.random.default_rng(0).random(whole.valid.shape) > 0.08
    resized = resize(
        replace(whole, flow=np.where(known[..., None], whole.flow, np.float32(unknown)), valid=known), size
    )
    assert np.array_equal(resized.valid, expected_valid(known, size))
    assert 0.4 < resized.valid.mean() < 0.95
    assert np.array_equal(resized.flow[resized.valid], resize(whole, size).flow[resized.valid])
    assert not resized.flow[~resized.valid].any()


@pytest.mark.parametrize("how", [resize, resize_sparse])
def test_occlusion_grows_with_the_picture(how):
    sample = everywhere_valid(shifted_noise(0, 20, 30))
    sample.occluded[4:9, 10:20] = True
    grown = how(sample, (60, 90))
    if how is resize:
        expected = np.kron(sample.occluded, np.ones((3, 3))) > 0
        corners = grown.occluded[[12, 12, 26, 26], [30, 59, 30, 59]]
        assert not corners.any()  # of their weights, (2/3)^2 lie inside
        assert (grown.occluded != expected).sum() == 4
    else:
        assert np.array_equal(grown.occluded[1::3, 1::3], sample.occluded)
        assert grown.occluded.sum() == sample.occluded.sum()
    assert how(replace(sample, occluded=None), (60, 90)).occluded is None


@pytest.mark.parametrize("size", SIZES)
def test_scattered_truth_is_what_a_loop_over_its_pixels_gives(size):
    known = np.random.default_rng(1).random((20, 30)) < 0.3
    whole = addressed_sample(0)
    sample = replace(whole, flow=np.where(known[..., None], whole.flow, np.float32(np.nan)), valid=known)
    flow, occluded = np.zeros((*size, 2)), np.zeros(size, bool)
    valid = np.zeros(size, bool)
    for y, x in zip(*np.nonzero(known)):
        place = round((y + 0.5) * size[0] / 20 - 0.5), round((x + 0.5) * size[1] / 30 - 0.5)
        flow[place] = x * size[1] / 30, y * size[0] / 20
        valid[place], occluded[place] = True, sample.occluded[y, x]
    scattered = resize_sparse(sample, size)
    assert np.array_equal(scattered.valid, valid)
    assert np.array_equal(scattered.occluded, occluded)
    np.testing.assert_allclose(scattered.flow, flow, rtol=1e-6)


@pytest.mark.parametrize(("size", "furthest"), [((300, 420), 0), ((171, 233), 0.5)])
def test_scattered_truth_lies_where_the_pictures_show_it(size, furthest):
    """The flow is the pixel's own place, so that differences of flow are distances, here in new pixels."""
    sample = everywhere_valid(addressed_sample(0, height=100, width=140))
    scattered, interpolated = resize_sparse(sample, size), resize(sample, size)
    inside = np.zeros(size, bool)
    inside[2:-2, 2:-2] = True
    apart = (scattered.flow - interpolated.flow)[inside & scattered.valid]
    assert np.abs(apart).max() < furthest + 1e-3
    # Places x f instead of (x + 1/2) f - 1/2 would be off by (f - 1) / 2: 1 and 0.35 on average.
    assert np.abs(apart.mean(axis=0)).max() < 0.04


def test_no_row_or_column_of_sparse_truth_is_lost():
    grown = resize_sparse(everywhere_valid(addressed_sample(0)), (25, 33))
    assert grown.valid.sum() == 20 * 30
    assert grown.valid[[0, 0, -1, -1], [0, -1, 0, -1]].all()
    assert resize_sparse(everywhere_valid(addressed_sample(0)), (13, 17)).valid.all()


@pytest.mark.parametrize("how", [resize, resize_sparse])
def test_the_own_size_changes_nothing(how):
    sample = addressed_sample(0)
    same = how(sample, (20, 30))
    for name in ("image1", "image2", "valid"):
        assert np.array_equal(getattr(same, name), getattr(sample, name)), name
    assert np.array_equal(same.flow[sample.valid], sample.flow[sample.valid])


def drawn_factors(scaling: RandomScale, count: int, height: int = 200, width: int = 200) -> np.ndarray:
    """(count, 2): log2 of the factors of height and width."""
    generator, sample = np.random.default_rng(0), shifted_noise(0, height, width)
    sample = replace(sample, image1=sample.image1[..., :1], image2=sample.image2[..., :1])
    sizes = [scaling(sample, generator).flow.shape[:2] for _ in range(count)]
    return np.log2(np.array(sizes) / [height, width])


def test_scales_and_stretches_are_drawn_from_their_whole_ranges():
    both = drawn_factors(RandomScale(scale=(-1.0, 0.5), probability=1, stretch=0), 300)
    assert np.array_equal(both[:, 0], both[:, 1])
    shares = np.histogram(both[:, 0], bins=3, range=(-1.01, 0.51))[0] / 300
    assert shares == pytest.approx([1 / 3] * 3, abs=0.09)
    stretched = drawn_factors(RandomScale(scale=(0, 0), probability=1, stretch=0.2, stretch_probability=1), 300)
    assert np.abs(stretched).max() == pytest.approx(0.2, abs=0.01)
    assert abs(np.corrcoef(stretched.T)[0, 1]) < 0.2


def test_scaling_and_stretching_come_as_often_as_told():
    factors = drawn_factors(
        RandomScale(scale=(-0.9, -0.3), stretch=0.25, probability=0.7, stretch_probability=0.4), 600
    )
    scaled = (factors != 0).all(axis=1)
    assert scaled.mean() == pytest.approx(0.7, abs=0.06)
    assert (factors[~scaled] == 0).all()
    assert np.mean(factors[scaled][:, 0] != factors[scaled][:, 1]) == pytest.approx(0.4, abs=0.07)


@pytest.mark.parametrize("sparse", [False, True])
def test_what_is_drawn_is_done(sparse):
    sample = addressed_sample(0)
    how = resize_sparse if sparse else resize
    scaled = RandomScale(scale=(1, 1), probability=1, stretch_probability=0, sparse=sparse)(
        sample, np.random.default_rng(0)
    )
    for name in ("image1", "image2", "flow", "valid", "occluded"):
        assert np.array_equal(getattr(scaled, name), getattr(how(sample, (40, 60)), name)), name


def test_the_crop_and_its_margin_always_fit():
    scaling = RandomScale(scale=(-2, 0.5), probability=1, stretch=0.3).for_crop((60, 90))
    heights, widths = np.rint(2 ** drawn_factors(scaling, 200, 80, 100).T * [[80], [100]])
    assert heights.min() == np.rint(80 * 98 / 100)  # the width needs the larger factor, and both have it
    assert widths.min() == 98


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_a_picture_smaller_than_the_crop_is_always_scaled(probability):
    scaling = RandomScale(scale=(-1, -1), probability=probability, margin=4, crop=(48, 60))
    heights, widths = np.rint(2 ** drawn_factors(scaling, 20, 40, 70).T * [[40], [70]])
    assert (heights == 52).all()
    assert (widths == 91).all()


def test_a_picture_as_large_as_the_crop_may_stay():
    factors = drawn_factors(RandomScale(scale=(0.1, 0.2), probability=0.5, crop=(40, 70)), 100, 40, 70)
    assert np.mean(factors[:, 0] == 0) == pytest.approx(0.5, abs=0.15)


def test_a_crop_of_its_own_is_kept():
    assert RandomScale(scale=(0, 1)).for_crop([48, 64]).crop == (48, 64)
    assert RandomScale(scale=(0, 1), crop=(32, 40)).for_crop((48, 64)).crop == (32, 40)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_sample_that_was_given_is_not_changed_and_draws_repeat(sparse):
    sample, before = addressed_sample(0), addressed_sample(0)
    scaling = RandomScale(scale=(0.2, 1), probability=1, sparse=sparse)
    first, second = (scaling(sample, np.random.default_rng(3)) for _ in range(2))
    for name in ("image1", "image2", "flow", "valid", "occluded"):
        assert np.array_equal(getattr(sample, name), getattr(before, name)), name
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert first.flow.shape != sample.flow.shape
    assert first.key == sample.key


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"scale": (1, 0)}, "scale"),
        ({"scale": 0.5}, "scale"),
        ({"scale": (0, float("inf"))}, "scale"),
        ({"probability": 1.5}, "probability"),
        ({"stretch_probability": "often"}, "stretch_probability"),
        ({"stretch": -0.2}, "stretch"),
        ({"margin": -1}, "margin"),
        ({"crop": (0, 40)}, "crop"),
        ({"crop": 40}, "crop"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, field):
    with pytest.raises(FlowBenchError, match=rf"RandomScale\.{field} is .*: give "):
        RandomScale(**{"scale": (0, 1), **settings})
