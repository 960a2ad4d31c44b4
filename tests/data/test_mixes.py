"""conf/data: the mixes and their weights are the published ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from support.hydra import GROUPS, composed

from flowbench.configs import build, config_folder
from flowbench.data.augmentation.base import RandomCrop
from flowbench.data.augmentation.geometric import RandomFlip
from flowbench.data.augmentation.scaling import RandomScale
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.pair_files import PairFiles
from flowbench.data.sample_trees import TREES, write_tree
from flowbench.errors import FlowBenchError

# As many pairs a split, pass, direction and camera as tell every term of a sum from the others.
PAIRS = {"things": 2, "sintel": 3, "kitti": 4, "hd1k": 5}
FILES = [name for name in GROUPS["data"] if name in TREES and name != "folder"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Holds a sample tree of every data set."""
    folder = tmp_path_factory.mktemp("data_sets")
    for name in FILES:
        write_tree(name, folder / name, pairs=PAIRS.get(name, 1), size=(24, 32))
    return folder


def data_of(name: str, folder: Path, *overrides: str) -> FlowDataModule:
    """What conf/data/<name>.yaml says. Composed by Hydra, which takes long, where there are overrides."""
    roots = {each: str(folder / each) for each in FILES}
    if overrides:
        places = [f"paths.{each}={root}" for each, root in roots.items()]
        config = composed("train", f"data={name}", "schedule=synthetic", *places, *overrides)
    else:
        data = OmegaConf.load(config_folder() / f"data/{name}.yaml")
        config = OmegaConf.create({"paths": roots | {"chairs_split": None}, "data": data})
    return build(config.data)


def every_set(data: FlowDataModule) -> Iterator[PairFiles]:
    yield from (part.samples for part in data.parts.values())
    yield from data.test.values()
    yield from data.submission.values()
    if data.val is not None:
        yield data.val


@pytest.mark.parametrize("name", FILES)
def test_every_config_finds_its_data_under_its_root(name, folder):
    data = data_of(name, folder)
    assert data.name == name
    assert all(len(samples) > 0 and samples[0].image1.shape == (24, 32, 3) for samples in every_set(data))
    assert data.test
    assert bool(data.parts) == (data.val is not None) == (name != "middlebury")
    assert {sample for sample, pairs in data.split("test").items() if not pairs[0].valid.any()} == set()
    assert not any(samples[0].valid.any() for samples in data.submission.values())


@pytest.mark.parametrize("name", FILES)
def test_a_config_becomes_objects_before_its_data_is_there(name, tmp_path):
    data = data_of(name, tmp_path / "not_there")
    for samples in every_set(data):
        with pytest.raises(FlowBenchError, match="not_there"):
            len(samples)


@pytest.mark.parametrize(
    ("name", "option"), [("spring", "sequences=['0001']"), ("tartanair", "environments=['office']")]
)
def test_what_is_left_out_of_training_can_be_validated(name, option, folder):
    left_out = option.partition("=")[2]
    data = data_of(name, folder, f"data.train.{name}.samples.leave_out={left_out}", f"data.val.{option}")
    assert len(data.val) > 0
    with pytest.raises(FlowBenchError, match="no pairs"):
        len(data.parts[name].samples)


@pytest.mark.parametrize("name", FILES)
def test_sparse_truth_is_never_blended_and_dense_truth_is(name, folder):
    for part in data_of(name, folder).parts.values():
        (scaling,) = [change for change in part.augmentations if isinstance(change, RandomScale)]
        assert scaling.sparse == part.samples.sparse


def test_a_pass_over_things_has_both_passes_and_directions_once(folder):
    data = data_of("things", folder)
    assert len(data.train) == 2 * 2 * PAIRS["things"]
    assert published(data) == 80_604


def test_a_pass_over_the_sintel_mix_has_each_part_so_often_as_published(folder):
    data = data_of("sintel", folder)
    things, sintel, kitti, hd1k = PAIRS.values()
    assert len(data.train) == 100 * sintel + 100 * sintel + 200 * kitti + 5 * hd1k + 2 * things
    assert {name: part.times for name, part in data.parts.items()} == {
        "sintel_clean": 100,
        "sintel_final": 100,
        "kitti": 200,
        "hd1k": 5,
        "things": 1,
    }
    # HD1K's authors give no number of pairs.
    assert published(data) == 100 * 1041 + 100 * 1041 + 200 * 200 + 40_302


def published(data: FlowDataModule) -> int:
    """A pass over the data, of as many pairs as their authors give."""
    return sum(part.times * (part.samples.published_count() or 0) for part in data.parts.values())


def test_a_part_of_the_mix_can_be_left_out_or_weighed_anew(folder):
    data = data_of("sintel", folder, "~data.train.hd1k", "data.train.kitti.times=7")
    things, sintel, kitti, _ = PAIRS.values()
    assert len(data.train) == 200 * sintel + 7 * kitti + 2 * things


@pytest.mark.parametrize(
    ("name", "part", "scale", "flips"),
    [
        ("chairs", "chairs", (-0.1, 1.0), (0.5, 0.1)),
        ("things", "things_clean", (-0.4, 0.8), (0.5, 0.1)),
        ("things", "things_final", (-0.4, 0.8), (0.5, 0.1)),
        ("sintel", "sintel_clean", (-0.2, 0.6), (0.5, 0.1)),
        ("sintel", "sintel_final", (-0.2, 0.6), (0.5, 0.1)),
        ("sintel", "things", (-0.2, 0.6), (0.5, 0.1)),
        ("sintel", "kitti", (-0.3, 0.5), (0.5, 0)),
        ("sintel", "hd1k", (-0.5, 0.2), (0.5, 0)),
        ("kitti", "kitti", (-0.2, 0.4), (0, 0)),
    ],
)
def test_ranges_and_flips_of_each_part_are_the_published_ones(name, part, scale, flips, folder):
    changes = data_of(name, folder).parts[part].augmentations
    (scaling,) = [change for change in changes if isinstance(change, RandomScale)]
    (flip,) = [change for change in changes if isinstance(change, RandomFlip)]
    assert tuple(scaling.scale) == scale
    assert (flip.horizontal, flip.vertical) == flips
    assert isinstance(changes[-1], RandomCrop)


@pytest.mark.parametrize(
    ("name", "padding", "updates", "reported_metrics"),
    [
        ("chairs", "sintel", 24, ("epe",)),
        ("sintel", "sintel", 32, ("epe",)),
        ("kitti", "kitti", 24, ("epe_per_image", "fl_all")),
        ("kitti2012", "kitti", 24, ("epe_per_image", "fl_all")),
    ],
)
def test_protocols_are_the_published_ones(name, padding, updates, reported_metrics, folder):
    protocol = data_of(name, folder).protocol
    assert (protocol.padding or "sintel", protocol.updates) == (padding, updates)
    assert tuple(protocol.reported_metrics) == reported_metrics


def test_sintel_is_evaluated_and_submitted_pass_by_pass(folder):
    data = data_of("sintel", folder)
    for sets in (data.test, data.submission):
        assert {name: samples.passes for name, samples in sets.items()} == {"clean": ("clean",), "final": ("final",)}
    assert data.val.passes == ("clean", "final")
