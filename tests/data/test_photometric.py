"""Colour jitter and boxes: what they do to the pictures, how they are drawn, and that the truth stays."""

import colorsys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from support.batches import shifted_noise
from support.warping import warping_error

from flowbench.data.augmentation import photometric
from flowbench.data.augmentation.photometric import (
    ColourJitter,
    Eraser,
    change_brightness,
    change_contrast,
    change_saturation,
    shift_hue,
)
from flowbench.data.scenes import SyntheticScenes
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowSample

CHANGES = {
    "change_brightness": "factor",
    "change_contrast": "factor",
    "change_saturation": "factor",
    "shift_hue": "shift",
}
JITTER = ColourJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.159)


def scene(index: int = 0) -> FlowSample:
    return SyntheticScenes(size=(96, 128), count=20, split="train", effects=None, static_fraction=0)[index]


def colours(kind: str) -> np.ndarray:
    return scene().image1[30:60, 40:80] if kind == "scene" else shifted_noise(0, 30, 40).image1


def plain(level: int, height: int = 8, width: int = 10) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def pair(image1: np.ndarray, image2: np.ndarray) -> FlowSample:
    height, width = image1.shape[:2]
    return replace(shifted_noise(0, height, width), image1=image1, image2=image2)


def exact_change(name: str, image: np.ndarray, strength: float) -> np.ndarray:
    """In floating point, clipped and not rounded."""
    levels = image.astype(float)
    grey = levels @ [0.299, 0.587, 0.114]
    match name:
        case "change_brightness":
            changed = strength * levels
        case "change_contrast":
            changed = strength * levels + (1 - strength) * grey.mean()
        case "change_saturation":
            changed = strength * levels + (1 - strength) * grey[..., None]
        case _:
            changed = np.array([_turned(pixel / 255, strength) for pixel in levels.reshape(-1, 3)]).reshape(image.shape)
    return np.clip(changed, 0, 255)


def _turned(pixel: np.ndarray, shift: float) -> np.ndarray:
    hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
    return 255 * np.array(colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value))


@pytest.mark.parametrize("kind", ["scene", "noise"])
@pytest.mark.parametrize("change", [change_brightness, change_contrast, change_saturation])
@pytest.mark.parametrize("factor", [0.0, 0.6, 1.4])
def test_a_blend_is_the_exact_one_to_the_nearest_grey_level(kind, change, factor):
    error = np.abs(change(colours(kind), factor) - exact_change(change.__name__, colours(kind), factor))
    assert error.max() < 0.8
    assert error.mean() < 0.5


@pytest.mark.parametrize("kind", ["scene", "noise"])
@pytest.mark.parametrize("shift", [-0.159, 0.1, 0.5])
def test_a_hue_is_the_exact_one_as_well_as_its_bytes_hold_it(kind, shift):
    error = np.abs(shift_hue(colours(kind), shift) - exact_change("shift_hue", colours(kind), shift))
    assert error.mean() < 1.0
    assert np.quantile(error, 0.99) < 8
    assert np.abs(colours(kind) - exact_change("shift_hue", colours(kind), shift)).mean() > 8


def test_a_third_of_the_circle_turns_red_into_green_and_back_again_into_blue():
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    np.testing.assert_allclose(shift_hue(red, 1 / 3)[0, 0], [0, 255, 0], atol=6)
    np.testing.assert_allclose(shift_hue(red, -1 / 3)[0, 0], [0, 0, 255], atol=6)


def test_the_four_changes_are_drawn_evenly_and_come_in_any_order(monkeypatch):
    calls = []
    for name, strength in CHANGES.items():

        def record(image, *, name=name, strength=strength, **drawn):
            calls.append((name, drawn[strength]))
            return image

        monkeypatch.setattr(photometric, name, record)
    jitter = ColourJitter(brightness=0.4, contrast=1.5, saturation=0.2, hue=0.1)
    generator = np.random.default_rng(0)
    for _ in range(1200):
        jitter(shifted_noise(0, 4, 4), generator)
    ranges = {"change_brightness": (0.6, 1.4), "change_contrast": (0, 2.5), "change_saturation": (0.8, 1.2)}
    for name, (low, high) in {**ranges, "shift_hue": (-0.1, 0.1)}.items():
        drawn = np.array([strength for called, strength in calls if called == name])
        assert drawn.shape == (1200,)
        assert low <= drawn.min() <= drawn.max() <= high, name
        shares = np.histogram(drawn, bins=4, range=(low, high))[0] / 1200
        assert shares == pytest.approx([0.25] * 4, abs=0.06), name
    orders = Counter(tuple(name for name, _ in calls[start : start + 4]) for start in range(0, len(calls), 4))
    assert len(orders) == 24
    assert all(count == pytest.approx(50, abs=30) for count in orders.values())


def test_both_pictures_are_changed_alike_about_the_grey_of_both():
    generator, drawn = np.random.default_rng(0), []
    for _ in range(200):
        jittered = ColourJitter(contrast=0.5)(pair(plain(60), plain(180)), generator)
        first, second = (int(image[0, 0, 0]) for image in (jittered.image1, jittered.image2))
        assert first + second == pytest.approx(240, abs=1)
        drawn.append(first)
    assert min(drawn) == pytest.approx(30, abs=2)
    assert max(drawn) == pytest.approx(90, abs=2)


def test_alone_each_picture_has_its_own_grey_and_its_own_draws():
    generator = np.random.default_rng(0)
    contrast = ColourJitter(contrast=0.5, asymmetric=1.0)(pair(plain(60), plain(180)), generator)
    assert (contrast.image1 == 60).all()
    assert (contrast.image2 == 180).all()
    brightness = [
        ColourJitter(brightness=0.5, asymmetric=1.0)(pair(plain(100), plain(100)), generator) for _ in range(200)
    ]
    levels = np.array([(each.image1[0, 0, 0], each.image2[0, 0, 0]) for each in brightness], float)
    assert abs(np.corrcoef(levels.T)[0, 1]) < 0.2
    assert levels.std(axis=0) == pytest.approx([100 / np.sqrt(12)] * 2, rel=0.15)


def test_pictures_are_changed_apart_as_often_as_told():
    generator, same = np.random.default_rng(0), pair(plain(100), plain(100))
    jittered = [replace(JITTER, asymmetric=0.2)(same, generator) for _ in range(600)]
    apart = np.mean([not np.array_equal(each.image1, each.image2) for each in jittered])
    assert apart == pytest.approx(0.2, abs=0.05)


def test_no_strength_changes_nothing():
    jittered = ColourJitter()(scene(), np.random.default_rng(0))
    assert np.array_equal(jittered.image1, scene().image1)
    assert np.array_equal(jittered.image2, scene().image2)


def test_jittered_pictures_still_lead_to_each_other():
    generator, sample = np.random.default_rng(0), scene(7)
    for _ in range(5):
        jittered = JITTER(sample, generator)
        assert not np.array_equal(jittered.image1, sample.image1)
        assert warping_error(jittered) < 3
        assert warping_error(jittered, times=0) > 3 * warping_error(jittered)


def test_boxes_are_as_large_as_told_and_have_the_mean_colour():
    generator, sample, sides = np.random.default_rng(0), black_and_white(60, 80), []
    mean = np.rint(sample.image2.mean(axis=(0, 1)))
    for _ in range(300):
        erased = Eraser(probability=1, boxes=(1, 1), side=(10, 14))(sample, generator)
        place = boxes(sample, erased)[0]
        assert (erased.image2[place] == mean).all()
        height, width = (part.stop - part.start for part in place)
        if place[0].stop < 60 and place[1].stop < 80:
            sides.append((height, width))
        assert max(height, width) < 14
    assert {height for height, _ in sides} == {width for _, width in sides} == {10, 11, 12, 13}
    assert len(set(sides)) == 16


def boxes(before: FlowSample, after: FlowSample) -> list[tuple[slice, slice]]:
    return ndimage.find_objects(ndimage.label((before.image2 != after.image2).any(axis=-1))[0])


def black_and_white(height: int, width: int) -> FlowSample:
    """No pixel has the mean colour."""
    picture = (np.random.default_rng(0).random((height, width, 3)) < 0.4).astype(np.uint8) * 255
    return pair(picture, picture)


def test_as_many_boxes_as_told_as_often_as_told():
    generator, sample = np.random.default_rng(0), black_and_white(100, 120)
    counts = Counter(len(boxes(sample, Eraser(side=(3, 5))(sample, generator))) for _ in range(400))
    assert set(counts) == {0, 1, 2}
    assert [counts[number] / 400 for number in range(3)] == pytest.approx([0.5, 0.25, 0.25], abs=0.07)


def test_a_box_begins_at_any_pixel():
    generator, sample = np.random.default_rng(0), pair(plain(0, 6, 7), np.arange(126, dtype=np.uint8).reshape(6, 7, 3))
    starts = Counter()
    for _ in range(2000):
        erased = Eraser(probability=1, boxes=(1, 1), side=(2, 3))(sample, generator)
        y, x = np.nonzero((sample.image2 != erased.image2).any(axis=-1))
        starts[y.min(), x.min()] += 1
    assert len(starts) == 42
    assert all(count == pytest.approx(2000 / 42, abs=30) for count in starts.values())


@pytest.mark.parametrize("augmentation", [replace(JITTER, asymmetric=0.5), Eraser(probability=1, side=(5, 9))])
def test_truth_and_the_given_pictures_stay_and_draws_repeat(augmentation):
    sample, before = shifted_noise(0), shifted_noise(0)
    for seed in range(4):
        first, second = (augmentation(sample, np.random.default_rng(seed)) for _ in range(2))
        for name in ("image1", "image2"):
            assert np.array_equal(getattr(sample, name), getattr(before, name)), name
            assert np.array_equal(getattr(first, name), getattr(second, name)), name
            assert getattr(first, name).dtype == np.uint8
        for name in ("flow", "valid", "occluded", "key"):
            assert getattr(first, name) is getattr(sample, name), name
        assert not np.array_equal(first.image2, sample.image2)


def test_an_eraser_leaves_image_1():
    sample = shifted_noise(0)
    assert Eraser(probability=1)(sample, np.random.default_rng(0)).image1 is sample.image1


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: ColourJitter(brightness=-0.1), "brightness"),
        (lambda: ColourJitter(contrast="much"), "contrast"),
        (lambda: ColourJitter(saturation=float("nan")), "saturation"),
        (lambda: ColourJitter(hue=0.6), "hue"),
        (lambda: ColourJitter(asymmetric=1.2), "asymmetric"),
        (lambda: Eraser(probability=-0.1), "probability"),
        (lambda: Eraser(boxes=(2, 1)), "boxes"),
        (lambda: Eraser(boxes=(1.5, 2)), "boxes"),
        (lambda: Eraser(side=(50, 50)), "side"),
        (lambda: Eraser(side=50), "side"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, field):
    with pytest.raises(FlowBenchError, match=rf"(ColourJitter|Eraser)\.{field} is .*: give "):
        make()
