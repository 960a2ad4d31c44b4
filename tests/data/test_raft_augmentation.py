"""RAFT's compositions: as published, and each sample's flow still leads from picture to picture."""

from dataclasses import replace

import numpy as np
import pytest
from omegaconf import OmegaConf
from support import golden
from support.warping import warping_error

from flowbench.configs import build
from flowbench.data.augmentation.base import Augmentation, RandomCrop, for_crop
from flowbench.data.augmentation.geometric import RandomFlip
from flowbench.data.augmentation.photometric import ColourJitter, Eraser
from flowbench.data.augmentation.raft import dense_augmentations, sparse_augmentations
from flowbench.data.augmentation.scaling import RandomScale
from flowbench.data.scenes import SyntheticScenes
from flowbench.structures import FlowSample

CROP = (136, 184)
ORDER = [ColourJitter, Eraser, RandomScale, RandomFlip, RandomCrop]


@pytest.fixture(scope="module")
def scenes() -> list[FlowSample]:
    dataset = SyntheticScenes(size=(144, 192), count=40, split="train", effects=None, static_fraction=0)
    return [dataset[index] for index in range(1, 9)]


def without_lies(augmentations: list[Augmentation]) -> list[Augmentation]:
    """What hides image 2, or colours it otherwise than image 1, left out: then warping shows whether the flow is right."""
    kept = [each for each in augmentations if not isinstance(each, Eraser)]
    return [replace(each, asymmetric=0.0) if isinstance(each, ColourJitter) else each for each in kept]


def augmented(sample: FlowSample, augmentations: list[Augmentation], seed: int) -> FlowSample:
    generator = np.random.default_rng(seed)
    for augmentation in augmentations:
        sample = augmentation(sample, generator)
    return sample


def sparse(sample: FlowSample) -> FlowSample:
    known = np.random.default_rng(0).random(sample.valid.shape) < 0.2
    return replace(sample, flow=np.where(known[..., None], sample.flow, np.float32(np.nan)), valid=known)


@pytest.mark.parametrize(
    ("name", "augmentations"),
    [
        ("FlowAugmentor", dense_augmentations(scale=(-0.1, 1.0))),
        ("SparseFlowAugmentor", sparse_augmentations(scale=(-0.1, 1.0))),
    ],
)
def test_the_numbers_are_the_published_ones(name, augmentations):
    published = golden.case("recipe_text")[name]["attributes"]
    jitter, eraser, scaling, flip, _ = augmentations
    assert [type(each) for each in augmentations] == ORDER
    found = {strength: getattr(jitter, strength) for strength in ("brightness", "contrast", "saturation", "hue")}
    assert found == pytest.approx(published["photo_aug"][1], rel=1e-3)
    assert eraser.probability == published["eraser_aug_prob"]
    assert scaling.probability == published["spatial_aug_prob"]
    assert flip.horizontal == published["h_flip_prob"]
    if name == "FlowAugmentor":
        assert jitter.asymmetric == published["asymmetric_color_aug_prob"]
        assert (scaling.stretch, scaling.stretch_probability) == (published["max_stretch"], published["stretch_prob"])
        assert (scaling.margin, scaling.sparse, flip.vertical) == (8, False, published["v_flip_prob"])
    else:
        assert (jitter.asymmetric, scaling.stretch, flip.vertical) == (0, 0, 0)
        assert (scaling.margin, scaling.sparse) == (1, True)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_the_flow_still_leads_from_picture_to_picture(scenes, kind):
    compose = dense_augmentations if kind == "dense" else sparse_augmentations
    augmentations = for_crop(without_lies(compose(scale=(-0.1, 1.0))), CROP)
    errors, wrong = [], []
    for seed, scene in enumerate([*scenes, *scenes]):
        sample = augmented(scene if kind == "dense" else sparse(scene), augmentations, seed)
        assert sample.flow.shape == (*CROP, 2)
        assert np.isfinite(sample.flow[sample.valid]).all()
        errors.append(warping_error(sample))
        wrong.append(warping_error(sample, times=1.5))
    assert np.mean(errors) < 1.7
    assert np.mean(wrong) > 3 * np.mean(errors)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_the_same_generator_gives_the_same_sample_and_another_another(scenes, kind):
    compose = dense_augmentations if kind == "dense" else sparse_augmentations
    augmentations = for_crop(compose(scale=(-0.1, 1.0)), CROP)
    first, second, third = (augmented(scenes[0], augmentations, seed) for seed in (5, 5, 6))
    for name in ("image1", "image2", "flow", "valid", "occluded"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert not np.array_equal(first.image1, third.image1)
    assert not np.array_equal(first.flow, third.flow)


def test_a_config_names_a_whole_composition():
    module = "flowbench.data.augmentation.raft"
    dense = OmegaConf.create({"_target_": f"{module}.dense_augmentations", "scale": [-0.4, 0.8], "vertical": 0.0})
    assert build(dense) == dense_augmentations(scale=[-0.4, 0.8], vertical=0.0)
    kitti = OmegaConf.create({"_target_": f"{module}.sparse_augmentations", "scale": [-0.2, 0.4], "horizontal": 0.0})
    scaling, flip, crop = build(kitti)[2:]
    assert scaling.scale == [-0.2, 0.4]
    assert flip == RandomFlip(horizontal=0.0, vertical=0.0)
    assert crop == RandomCrop(margin=(20, 50))
