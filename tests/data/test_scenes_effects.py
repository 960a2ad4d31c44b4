"""Effects change pictures and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from omegaconf import OmegaConf

from flowbench.data.scenes import Effects, SyntheticScenes
from flowbench.errors import FlowBenchError

NAMES = ("lighting", "shadow", "fog", "defocus", "motion_blur", "noise", "gamma", "levels", "sharpen", "jpeg")
OFF = dict.fromkeys(NAMES)


def scenes(effects) -> SyntheticScenes:
    return SyntheticScenes(size=(96, 128), count=20, split="train", static_fraction=0.0, effects=effects)


@pytest.mark.parametrize("name", NAMES)
def test_each_effect_changes_the_images_but_not_the_flow(name):
    strength = {"sigma": [4, 8]} if name == "defocus" else {}
    plain, changed = scenes(None), scenes({**OFF, name: {"probability": 1, **strength}})
    differences = []
    for index in range(4):
        before, after = plain[index], changed[index]
        np.testing.assert_array_equal(before.flow, after.flow)
        np.testing.assert_array_equal(before.occluded, after.occluded)
        assert after.image2.dtype == np.uint8
        differences.append(np.abs(before.image2.astype(int) - after.image2).mean())
    assert np.mean(differences) > 0.3


def test_switched_off_effects_leave_the_images():
    plain = scenes(None)[2]
    for effects in (OFF, Effects.none(), {name: {"probability": 0} for name in NAMES}):
        np.testing.assert_array_equal(scenes(effects)[2].image2, plain.image2)


def test_one_effect_does_not_change_the_draws_of_another():
    alone = scenes({**OFF, "gamma": {"probability": 1}})[0]
    beside = scenes({**OFF, "gamma": {"probability": 1}, "fog": {"probability": 1, "density": [0, 0]}})[0]
    np.testing.assert_array_equal(alone.image1, beside.image1)


def test_lighting_changes_image2_alone():
    plain, lit = (
        scenes(None)[0],
        scenes({**OFF, "lighting": {"probability": 1, "gain": [0.5, 0.5], "slope": [0, 0]}})[0],
    )
    np.testing.assert_array_equal(plain.image1, lit.image1)
    assert lit.image2.mean() == pytest.approx(0.5 * plain.image2.mean(), rel=0.06)


def test_noise_has_the_configured_strength():
    plain, noisy = scenes(None)[0], scenes({**OFF, "noise": {"probability": 1, "sigma": [4, 4]}})[0]
    inside = (plain.image1 > 20) & (plain.image1 < 235)
    difference = noisy.image1[inside].astype(float) - plain.image1[inside]
    assert difference.std() == pytest.approx(4, rel=0.05)
    assert difference.mean() == pytest.approx(0, abs=0.1)


def test_blur_keeps_brightness_and_lowers_contrast():
    for name, field, strong in (("defocus", "sigma", [8, 8]), ("motion_blur", "length", [40, 40])):
        plain, blurred = scenes(None)[1], scenes({**OFF, name: {"probability": 1, field: strong}})[1]
        assert blurred.image1.mean() == pytest.approx(plain.image1.mean(), rel=0.02)
        assert (
            np.abs(np.diff(blurred.image1.astype(int), axis=1)).mean()
            < 0.7 * np.abs(np.diff(plain.image1.astype(int), axis=1)).mean()
        )


def test_levels_stretch_tones_to_black_and_white_alike_in_both_images():
    full = {"probability": 1, "black": [0.05, 0.05], "white": [0.05, 0.05], "gamma": [1, 1]}
    for index in range(4):
        plain, stretched = scenes(None)[index], scenes({**OFF, "levels": full})[index]
        # The share that was asked for, and what lies within a few steps of it.
        assert 0.03 < np.mean(stretched.image1 < 4) < 0.3
        assert 0.03 < np.mean(stretched.image1 > 251) < 0.3
        # The same surface has nearly the same tone in both images.
        assert abs(plain.image1.mean() - plain.image2.mean()) < 10
        assert abs(stretched.image1.mean() - stretched.image2.mean()) < 25
    darker = scenes({**OFF, "levels": {**full, "gamma": [1.6, 1.6]}})[0]
    assert darker.image1.mean() < scenes({**OFF, "levels": full})[0].image1.mean() - 10


def test_sharpening_raises_what_blur_takes_away():
    plain, sharp = scenes(None)[1], scenes({**OFF, "sharpen": {"probability": 1, "amount": [1, 1]}})[1]
    steps = [np.abs(np.diff(sample.image2.astype(int), axis=1)).mean() for sample in (plain, sharp)]
    assert steps[1] > 1.05 * steps[0]
    assert sharp.image2.mean() == pytest.approx(plain.image2.mean(), rel=0.02)


def test_jpeg_loses_more_at_lower_quality():
    def loss(quality):
        changed = scenes({**OFF, "jpeg": {"probability": 1, "quality": [quality, quality]}})[2]
        return np.abs(changed.image1.astype(int) - scenes(None)[2].image1).mean()

    assert 0 < loss(95) < loss(60) < 8


def test_processing_is_off_unless_asked_for():
    assert (Effects().levels, Effects().sharpen, Effects().jpeg) == (None, None, None)
    assert Effects.from_config({"levels": {}, "jpeg": {"quality": [50, 60]}}).levels.probability == 0.7


def test_fog_hides_contrast_and_shadow_takes_light():
    plain = scenes(None)[1]
    assert scenes({**OFF, "fog": {"probability": 1, "density": [0.6, 0.6]}})[1].image1.std() < 0.9 * plain.image1.std()
    shadowed = scenes({**OFF, "shadow": {"probability": 1}})[1]
    assert (shadowed.image1 <= plain.image1).all()
    assert (shadowed.image1 < plain.image1).any()


def test_probability_is_the_share_of_pairs_that_change():
    plain, sometimes = scenes(None), scenes({**OFF, "gamma": {"probability": 0.5}})
    changed = [not np.array_equal(plain[index].image1, sometimes[index].image1) for index in range(20)]
    assert 4 <= sum(changed) <= 16


def test_effects_are_read_from_yaml():
    config = OmegaConf.create("fog: null\nnoise: {sigma: [1, 2]}\nlighting: {probability: 1}")
    effects = Effects.from_config(config)
    assert effects.fog is None
    assert effects.noise.sigma == (1.0, 2.0)
    assert effects.noise.probability == Effects().noise.probability
    assert effects.lighting.probability == 1
    assert effects.shadow == Effects().shadow
    assert scenes(config)[0].image1.shape == (96, 128, 3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"nosie": None}, "effects has no nosie: it knows lighting, shadow"),
        ({"noise": {"sgima": [1, 2]}}, "effects.noise has no sgima: it knows probability, sigma"),
        ({"noise": True}, "effects.noise is True: give a mapping"),
        ("none", "effects is 'none': give a mapping"),
        ({"noise": {"sigma": 3}}, "Noise.sigma is 3: give two numbers"),
        ({"noise": {"sigma": [3, 1]}}, r"Noise.sigma is \[3, 1\]: give two numbers"),
        ({"noise": {"probability": 2}}, "Noise.probability is 2: give a share"),
    ],
)
def test_misspelt_or_impossible_effects_are_refused(config, message):
    with pytest.raises(FlowBenchError, match=message):
        scenes(config)
