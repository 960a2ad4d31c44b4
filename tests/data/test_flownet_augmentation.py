"""FlowNet's transformations: equal to the published ones at the draws that were recorded, and right by what they promise."""

from dataclasses import replace

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy import ndimage
from support import golden
from support.batches import Samples, addressed_sample, shifted_noise

from flowbench.configs import build
from flowbench.data.augmentation.geometric import RandomFlip, RandomRotate, RandomTranslate, flip, rotate, translate
from flowbench.data.mixing import Part, TrainingSamples
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowSample

TRANSLATIONS = ["tf_translate_a", "tf_translate_b", "tf_translate_zero"]
ROTATIONS = {
    "tf_rotate_a": {"centre": "flownet"},
    "tf_rotate_b": {"centre": "flownet"},
    "tf_rotate_lightflow": {"centre": "flownet", "correction": "linearised"},
}
# The flow of `moving_texture`, point p to A p + b.
A, B = np.array([[1.02, -0.03], [0.025, 0.98]]), np.array([2.5, -1.75])


def published_sample(case: dict) -> FlowSample:
    """The formula of the reference cases, as float32 pictures."""
    height, width = 32, 48
    y, x = np.mgrid[:height, :width].astype(np.float64)
    u = 3 + 1.5 * np.sin(2 * np.pi * y / height) + 0.04 * x
    v = -2 + 1.2 * np.cos(2 * np.pi * x / width) - 0.03 * y
    images = published_texture(x, y), published_texture(x - u, y - v)
    if case["input"]["u8"]:
        images = [np.clip(np.rint(image), 0, 255) for image in images]
    image1, image2 = (image.astype(np.float32) for image in images)
    flow = np.stack([u, v], axis=-1).astype(np.float32)
    return FlowSample(image1, image2, flow, np.ones((height, width), bool), None, case["case"])


def published_texture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    channels = [
        127.5 + 60 * np.sin(0.35 * x + 0.21 * y + c) + 45 * np.cos(0.17 * x - 0.42 * y + 2 * c) for c in range(3)
    ]
    return np.stack(channels, axis=-1)


def draws(case: dict) -> list[float]:
    return [draw["value"] for draw in case["draws"]]


def assert_published(sample: FlowSample, case: dict) -> None:
    for name in ("image1", "image2", "flow"):
        found, expected = getattr(sample, name), np.load(golden.GOLDEN / case["files"][name])
        tolerance = case["tolerance"]["flow_abs" if name == "flow" else "image_abs"]
        assert (found.dtype, found.shape) == (np.float32, expected.shape)
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance, err_msg=name)


def moving_texture(height: int = 96, width: int = 128) -> FlowSample:
    """Long waves that move by an affine flow, valid and never occluded."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    place = np.stack([x, y], axis=-1)
    origin = (place - B) @ np.linalg.inv(A).T
    image1, image2 = (_waves(where).astype(np.float32) for where in (place, origin))
    valid = np.ones((height, width), bool)
    return FlowSample(image1, image2, (place @ A.T + B - place).astype(np.float32), valid, ~valid, "waves")


def _waves(place: np.ndarray) -> np.ndarray:
    x, y = place[..., 0], place[..., 1]
    return np.stack([127 + 50 * np.sin(0.11 * x + c) + 50 * np.cos(0.13 * y - 0.04 * x + c) for c in range(3)], -1)


def colour_error(sample: FlowSample) -> np.ndarray:
    """Grey levels between image 1 and image 2 where the flow finds it, inside what is seen of both."""
    height, width = sample.flow.shape[:2]
    y, x = np.mgrid[:height, :width]
    place = np.stack([y + sample.flow[..., 1], x + sample.flow[..., 0]])
    seen = [ndimage.map_coordinates(sample.image2[..., c], place, order=1) for c in range(3)]
    error = np.abs(np.stack(seen, axis=-1) - sample.image1).max(axis=-1)
    # The corners that turned into image 2 are black.
    lit = ndimage.binary_erosion(sample.image2.min(axis=-1) > 0, iterations=3).astype(np.float32)
    inside = ndimage.binary_erosion(sample.valid, iterations=3)
    return error[inside & (ndimage.map_coordinates(lit, place, order=1) > 0.999)]


def flow_error(sample: FlowSample, angle: float, difference: float) -> np.ndarray:
    """Pixels between the flow of a turned `moving_texture` and what turning both ends of the true one gives."""
    height, width = sample.flow.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    place, middle = np.stack([x, y], axis=-1), np.array([(width - 1) / 2, (height - 1) / 2])
    origin = (place - middle) @ _counter_clockwise(angle - difference / 2) + middle
    end = (origin @ A.T + B - middle) @ _counter_clockwise(angle + difference / 2).T + middle
    return np.linalg.norm(sample.flow - (end - place), axis=-1)[ndimage.binary_erosion(sample.valid, iterations=6)]


def _counter_clockwise(degrees: float) -> np.ndarray:
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cosine, sine], [-sine, cosine]])


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_translations_are_the_published_ones(name):
    case = golden.case(name)
    assert_published(translate(published_sample(case), *draws(case)), case)


@pytest.mark.parametrize(("name", "options"), ROTATIONS.items())
def test_rotations_are_the_published_ones(name, options):
    case = golden.case(name)
    assert_published(rotate(published_sample(case), *draws(case), **options), case)


def test_the_whole_training_order_is_the_published_one():
    case = golden.case("tf_compose")
    tw, th, angle, difference, left, top, first, second = draws(case)
    sample = rotate(translate(published_sample(case), tw, th), angle, difference, centre="flownet")
    place = slice(top, top + 24), slice(left, left + 32)
    fields = {name: getattr(sample, name)[place] for name in ("image1", "image2", "flow", "valid")}
    sample = flip(flip(replace(sample, **fields), vertical=first < 0.5), horizontal=second < 0.5)
    assert_published(sample, case)


@pytest.mark.parametrize(
    "change",
    [
        lambda sample: sample,
        lambda sample: translate(sample, 7, -4),
        lambda sample: rotate(sample, 8, 0),
        lambda sample: rotate(sample, -6, 5),
        lambda sample: rotate(sample, -6, 5, interpolation="linear"),
        lambda sample: flip(sample, horizontal=True),
        lambda sample: flip(sample, vertical=True),
        lambda sample: flip(rotate(translate(sample, -9, 3), 9, -4), horizontal=True, vertical=True),
    ],
)
def test_the_flow_still_leads_from_picture_to_picture(change):
    error = colour_error(change(moving_texture()))
    assert error.size > 5000
    assert error.max() < 0.5


def test_a_rotated_flow_is_exact_and_the_published_variants_are_not():
    errors = {
        options: flow_error(rotate(moving_texture(), -6, 5, centre=options[0], correction=options[1]), -6, 5)
        for options in [("true", "exact"), ("flownet", "exact"), ("flownet", "linearised")]
    }
    assert errors["true", "exact"].max() < 1e-3
    # Half a pixel to the right and down, turned by five degrees.
    assert errors["flownet", "exact"] == pytest.approx(2 * np.sin(np.deg2rad(2.5)) * np.sqrt(0.5), abs=1e-3)
    assert errors["flownet", "exact"].mean() == pytest.approx(0.06, abs=0.005)
    assert 0.3 < errors["flownet", "linearised"].max() < 1.5


def test_linear_interpolation_is_nearly_the_spline():
    spline, linear = (rotate(moving_texture(), 7, -3, interpolation=kind) for kind in ("spline", "linear"))
    inside = ndimage.binary_erosion(spline.valid & linear.valid, iterations=3)
    assert np.abs(spline.flow - linear.flow)[inside].max() < 0.01
    assert np.abs(spline.image1 - linear.image1)[inside].max() < 1
    assert (spline.valid != linear.valid).mean() < 0.01


@pytest.mark.parametrize("interpolation", ["spline", "linear"])
def test_what_turns_in_from_outside_is_invalid(interpolation):
    sample = moving_texture()
    turned = rotate(replace(sample, image1=np.full_like(sample.image1, 200)), 10, 4, interpolation=interpolation)
    assert 0.02 < (~turned.valid).mean() < 0.25
    assert not turned.valid[[0, -1], [0, -1]].any()
    assert turned.image1[turned.valid].min() > 199
    assert flow_error(turned, 10, 4).max() < 0.01


@pytest.mark.parametrize("unknown", [np.nan, np.inf, 1e9])
def test_a_flow_that_is_unknown_spoils_nothing_beside_it(unknown):
    sample = moving_texture()
    holes = np.random.default_rng(0).random(sample.valid.shape) < 0.02
    flow = np.where(holes[..., None], np.float32(unknown), sample.flow)
    turned = rotate(replace(sample, flow=flow, valid=~holes), 5, 2)
    whole = rotate(sample, 5, 2)
    assert np.abs(turned.flow - whole.flow)[turned.valid].max() < 0.01
    assert 0.7 < turned.valid.sum() / whole.valid.sum() < 1


def test_occlusion_turns_with_image_1():
    sample = moving_texture()
    square = np.zeros_like(sample.valid)
    square[30:60, 40:90] = True
    image1 = np.where(square[..., None], sample.image1.dtype.type(255), 0)
    turned = rotate(replace(sample, image1=image1, occluded=square), 9, 3)
    assert (turned.occluded != (turned.image1[..., 0] > 127)).mean() < 0.002
    assert rotate(replace(sample, occluded=None), 9, 3).occluded is None


def test_no_rotation_changes_nothing():
    sample = shifted_noise(0)
    turned = rotate(sample, 0, 0)
    for name in ("image1", "image2", "valid", "occluded"):
        assert np.array_equal(getattr(turned, name), getattr(sample, name)), name
    np.testing.assert_allclose(turned.flow, sample.flow, atol=1e-5)


def test_grey_levels_are_rounded_and_clipped():
    checks = np.zeros((40, 50, 3), np.uint8)
    checks[10:20, 10:30] = checks[20:30, 30:40] = 255
    sample = replace(shifted_noise(0, 40, 50), image1=checks)
    exact = rotate(replace(sample, image1=checks.astype(np.float32)), 7, 2).image1
    turned = rotate(sample, 7, 2).image1
    assert exact.min() < -5
    assert exact.max() > 260
    assert turned.dtype == np.uint8
    assert np.array_equal(turned, np.clip(np.rint(exact), 0, 255))


@pytest.mark.parametrize(
    "change", [lambda sample: translate(sample, -6, 2), lambda sample: flip(sample, vertical=True)]
)
def test_every_field_moves_alike(change):
    changed = change(addressed_sample(0))
    x, y = changed.image1[..., 0].astype(int), changed.image1[..., 1].astype(int)
    assert np.array_equal(changed.valid, (x + y) % 2 == 0)
    assert np.array_equal(changed.occluded, (x + y) % 3 == 0)
    assert changed.key == "addressed/0"
    assert change(replace(addressed_sample(0), occluded=None)).occluded is None


@pytest.mark.parametrize("augmentation", [RandomTranslate(5), RandomRotate(10, 5), RandomFlip(1, 1)])
def test_the_sample_that_was_given_is_not_changed_and_draws_repeat(augmentation):
    sample, before = shifted_noise(0), shifted_noise(0)
    first, second = (augmentation(sample, np.random.default_rng(3)) for _ in range(2))
    for name in ("image1", "image2", "flow", "valid", "occluded"):
        assert np.array_equal(getattr(sample, name), getattr(before, name)), name
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert not np.array_equal(first.flow, sample.flow)


def test_translations_reach_both_ends_and_go_as_far_up_as_they_were_told():
    generator, sample = np.random.default_rng(0), shifted_noise(0, shift=0)
    drawn = np.array([RandomTranslate((2, 3))(sample, generator).flow[0, 0] for _ in range(300)])
    assert set(drawn[:, 0]) == set(range(-3, 4))
    assert set(drawn[:, 1]) == set(range(-2, 3))


def test_rotations_are_drawn_from_their_whole_range():
    # About a true centre on no pixel, the flow of pictures that stand still turns by the difference alone.
    generator, still = np.random.default_rng(0), replace(moving_texture(20, 30), flow=np.zeros((20, 30, 2), np.float32))
    turns = []
    for _ in range(200):
        flow = RandomRotate(0, 5)(still, generator).flow
        turns.append(np.rad2deg(flow[8, 10, 0] - flow[12, 10, 0]) / -4)
    assert min(turns) == pytest.approx(-5, abs=0.3)
    assert max(turns) == pytest.approx(5, abs=0.3)
    assert np.mean(turns) == pytest.approx(0, abs=0.6)


def test_flips_are_drawn_apart_from_each_other():
    generator, sample = np.random.default_rng(0), replace(shifted_noise(0), flow=np.ones((64, 64, 2), np.float32))
    drawn = [tuple(RandomFlip(horizontal=0.5, vertical=0.25)(sample, generator).flow[0, 0]) for _ in range(400)]
    shares = {signs: drawn.count(signs) / 400 for signs in [(1, 1), (-1, 1), (1, -1), (-1, -1)]}
    assert list(shares.values()) == pytest.approx([0.375, 0.375, 0.125, 0.125], abs=0.07)


def test_a_config_lists_them_in_their_order():
    module = "flowbench.data.augmentation.geometric"
    config = OmegaConf.create(
        {
            "augmentations": [
                {"_target_": f"{module}.RandomTranslate", "max": [4, 6]},
                {"_target_": f"{module}.RandomRotate", "angle": 10, "difference": 5, "interpolation": "linear"},
                {"_target_": f"{module}.RandomFlip"},
            ],
        }
    )
    augmentations = [build(entry) for entry in config.augmentations]
    assert augmentations == [RandomTranslate([4, 6]), RandomRotate(10, 5, interpolation="linear"), RandomFlip(0.5, 0.5)]
    samples = TrainingSamples([Part(Samples(1), augmentations)], seed=1)
    first, second = samples[0, 0], samples[1, 0]
    assert first.image1.dtype == np.uint8
    assert not np.array_equal(first.flow[:50, :50], second.flow[:50, :50])


@pytest.mark.parametrize(
    ("option", "choices"),
    [({"centre": "midle"}, "true or flownet"), ({"correction": "none"}, "exact"), ({"interpolation": "x"}, "linear")],
)
def test_an_unknown_option_names_the_known_ones(option, choices):
    (name,) = option
    for make in (lambda: RandomRotate(10, 5, **option), lambda: rotate(shifted_noise(0), 1, 1, **option)):
        with pytest.raises(FlowBenchError, match=f"Unknown {name} .* choose .*{choices}"):
            make()


def test_a_translation_beyond_the_sample_names_it():
    with pytest.raises(FlowBenchError, match=r"\(30, 2\) px leaves nothing of sample addressed/4, which is 20x30"):
        translate(addressed_sample(4), 30, 2)


@pytest.mark.parametrize("given", [-1, 2.5, (1, 2, 3), (1, -2)])
def test_limits_of_a_translation_that_make_no_sense_are_refused(given):
    with pytest.raises(FlowBenchError, match=r"RandomTranslate's max is .*: give whole pixels"):
        RandomTranslate(given)
