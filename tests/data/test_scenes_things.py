"""What scenes are made of beyond drawn outlines: cut-outs, thin structures, plain surfaces, groups."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.hydra import composed
from support.scenes import write_pictures
from torch.utils.data import DataLoader

from flowbench.configs import build
from flowbench.data.scenes import SyntheticScenes
from flowbench.data.scenes.cutouts import draw_cutout, list_cutouts, read_cutout, recoloured
from flowbench.data.scenes.scene import draw_scene
from flowbench.data.scenes.settings import SceneSettings, Shares
from flowbench.data.scenes.surfaces import draw_surface, plain
from flowbench.data.scenes.thin import KINDS, draw_thin
from flowbench.errors import FlowBenchError

SETTINGS = SceneSettings(size=(96, 128), layers=(4, 20), max_displacement=100.0, static_fraction=0.0)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def rich(pictures, *changes: str) -> SyntheticScenes:
    """The training scenes of data/scenes=rich, small."""
    globs = [f"data.{name}='{pattern}'" for name, pattern in pictures.items()]
    config = composed("train", "data=synthetic", "data/scenes=rich", "data.scenes.size=[96,128]", *globs, *changes)
    return build(config.data, crop=None).split("train")["synthetic"]


def test_rich_scenes_are_a_choice_of_configuration(pictures):
    dataset = rich(pictures)
    assert dataset.settings.layers == (4, 20)
    assert len(dataset.settings.cutouts) == 3
    assert dataset.effects.levels.probability == 0.7
    assert composed("train", "data=synthetic").data.scenes.effects == {}
    assert composed("train", "experiment=demo").data.scenes.max_displacement == 100


def test_rich_scenes_are_the_same_bytes_in_any_worker(pictures):
    dataset = rich(pictures, "data.counts.train=8")

    def contents(sample):
        return [part.tobytes() for part in (sample.image1, sample.image2, sample.flow, sample.occluded)]

    loader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=list)
    loaded = list(itertools.chain.from_iterable(loader))
    assert [contents(sample) for sample in loaded] == [contents(dataset[index]) for index in range(8)]


def test_rich_scenes_need_no_files():
    sample = rich({})[1]
    assert sample.flow.any()
    assert sample.image1.std() > 10


@pytest.mark.parametrize("radius", [5.0, 40.0, 200.0])
def test_cutouts_fit_into_their_circle(pictures, radius):
    paths = list_cutouts(pictures["cutouts"])
    for seed in range(6):
        cutout = draw_cutout(rng(seed), paths, radius)
        rows, columns = np.nonzero(cutout[..., 3])
        middle = (np.array(cutout.shape[1::-1]) - 1) / 2
        assert np.hypot(columns - middle[0], rows - middle[1]).max() <= radius + 1
        assert (cutout[..., 3] > 127).any()
        assert not cutout[[0, -1], :, 3].any()
        assert not cutout[:, [0, -1], 3].any()


def test_cutouts_keep_their_outline_and_are_mirrored(pictures):
    path = list_cutouts(pictures["cutouts"])[1]
    alpha = read_cutout(path)[..., 3]
    drawn = [draw_cutout(rng(seed), [path], np.hypot(*alpha.shape) / 2)[4:-4, 4:-4, 3] for seed in range(8)]
    as_it_is = [np.array_equal(mask, alpha) for mask in drawn]
    mirrored = [np.array_equal(mask, alpha[:, ::-1]) for mask in drawn]
    assert all(one != other for one, other in zip(as_it_is, mirrored))
    assert 0 < sum(as_it_is) < len(drawn)


def test_colours_of_cutouts_go_on_beyond_the_outline(tmp_path):
    """What is transparent is often black: it must not darken the rim."""
    picture = np.zeros((40, 40, 4), np.uint8)
    picture[10:30, 10:30] = (10, 200, 30, 255)
    cv2.imwrite(f"{tmp_path}/square.png", picture)
    assert (draw_cutout(rng(0), [f"{tmp_path}/square.png"], 40.0)[..., :3] == (30, 200, 10)).all()


def test_recolouring_keeps_shapes():
    texture = np.zeros((20, 30, 3), np.uint8)
    texture[:, 15:] = (200, 120, 40)
    changed = [recoloured(texture, rng(seed)) for seed in range(20)]
    assert 3 < sum(not np.array_equal(other, texture) for other in changed) < 20
    for other in changed:
        assert np.abs(np.diff(other.astype(int), axis=1)).max((0, 2)).nonzero()[0].tolist() == [14]


def test_pictures_without_alpha_are_refused_as_cutouts(tmp_path):
    cv2.imwrite(f"{tmp_path}/opaque.png", np.zeros((20, 20, 3), np.uint8))
    cv2.imwrite(f"{tmp_path}/empty.png", np.zeros((20, 20, 4), np.uint8))
    with pytest.raises(FlowBenchError, match=r"opaque\.png is not an 8-bit image with an alpha channel: let cutouts"):
        read_cutout(f"{tmp_path}/opaque.png")
    with pytest.raises(FlowBenchError, match=r"empty\.png is transparent all over"):
        read_cutout(f"{tmp_path}/empty.png")
    with pytest.raises(FlowBenchError, match=r"No file matches cutouts='/nowhere/\*\.png': give a glob"):
        list_cutouts("/nowhere/*.png")


@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("radius", [12.0, 90.0])
def test_thin_structures_are_thin_and_stay_in_their_circle(kind, radius):
    side = 2 * (int(radius) + 4) + 1
    for seed in range(12):
        mask = np.zeros((side, side), np.uint8)
        kind(rng(seed), mask, radius)
        rows, columns = np.nonzero(mask > 127)
        assert rows.size
        assert np.hypot(rows - side // 2, columns - side // 2).max() <= radius + 4
        if radius > 50:
            # Nowhere is there room for a disc of a fifth of the radius.
            assert cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 5).max() < 0.2 * radius


def test_masks_of_thin_structures_have_an_empty_rim():
    for seed in range(40):
        mask = draw_thin(rng(seed), 30.0)
        assert mask.max() > 150
        assert not mask[[0, -1]].any()
        assert not mask[:, [0, -1]].any()


def test_plain_surfaces_are_plain():
    for seed in range(20):
        surface = plain(rng(seed), (60, 80)).astype(int)
        assert np.abs(np.diff(surface, axis=0)).max() <= 8
        assert np.abs(np.diff(surface, axis=1)).max() <= 8


def test_shares_are_shares(pictures):
    def shares_of(**shares):
        settings = replace(SETTINGS, photographs=("a photograph",), shares=Shares(**shares))
        kinds = []
        with pytest.MonkeyPatch.context() as patch:
            for name in ("draw_photograph", "plain", "draw_texture"):
                patch.setattr(f"flowbench.data.scenes.surfaces.{name}", lambda *_, name=name: kinds.append(name))
            for seed in range(400):
                draw_surface(settings, rng(seed), (10, 10))
        return [kinds.count(name) / 400 for name in ("draw_photograph", "plain", "draw_texture")]

    assert shares_of(photographs=0.7, plain=0.1) == pytest.approx([0.7, 0.1, 0.2], abs=0.06)
    assert shares_of(photographs=0, plain=1) == [0, 1, 0]


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"photographs": 1.5}, r"shares\.photographs is 1\.5: give a share from 0 to 1"),
        ({"cutouts": 0.7, "thin": 0.4}, r"shares\.cutouts and shares\.thin sum to 1\.1: give at most 1"),
        ({"wires": 0.5}, "shares has no wires: it knows photographs, plain, cutouts, thin"),
    ],
)
def test_impossible_shares_are_refused(shares, message):
    with pytest.raises(FlowBenchError, match=message):
        SyntheticScenes(size=(96, 128), count=1, split="train", shares=shares)


def test_things_share_as_many_motions_as_asked_for():
    for index in range(30):
        layers = draw_scene(replace(SETTINGS, motions=(3, 5)), rng(1, index), rng(2, index))[1:]
        motions = {id(layer.motion) for layer in layers}
        assert min(3, len(layers)) <= len(motions) <= 5
    alone = draw_scene(SETTINGS, rng(1, 0), rng(2, 0))[1:]
    assert len({id(layer.motion) for layer in alone}) == len(alone)
