"""The built-in data set: what it promises about its samples."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from flowbench.data.scenes import SyntheticScenes
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowBatch, FlowSample

SMALL = (96, 128)


def scenes(**changes) -> SyntheticScenes:
    return SyntheticScenes(**{"size": SMALL, "count": 400, "split": "train", **changes})


def contents(sample: FlowSample) -> tuple[bytes, ...]:
    return tuple(part.tobytes() for part in (sample.image1, sample.image2, sample.flow, sample.occluded))


def magnitude(sample: FlowSample) -> np.ndarray:
    return np.hypot(sample.flow[..., 0], sample.flow[..., 1])


def test_sample_is_what_networks_are_fed():
    sample = scenes()[12]
    assert sample.key == "synthetic/train/000012"
    for image in (sample.image1, sample.image2):
        assert image.shape == (*SMALL, 3)
        assert image.dtype == np.uint8
    assert sample.flow.shape == (*SMALL, 2)
    assert sample.flow.dtype == np.float32
    assert sample.occluded.shape == SMALL
    assert sample.occluded.dtype == bool
    assert sample.valid.all()
    assert FlowBatch.collate([sample]).image1.shape == (1, 3, *SMALL)


def test_backward_sample_is_the_pair_exchanged():
    dataset = scenes()
    pair = dataset.pair(3)
    assert contents(pair.forward) == contents(dataset[3])
    np.testing.assert_array_equal(pair.backward.image1, pair.forward.image2)
    np.testing.assert_array_equal(pair.backward.image2, pair.forward.image1)
    # Most of what is seen in both images moves back by what it moved.
    assert np.median(pair.forward.flow + pair.backward.flow) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_are_the_same_bytes_in_any_worker(workers):
    dataset = scenes(count=8)
    loader = DataLoader(dataset, batch_size=2, num_workers=workers, collate_fn=list)
    loaded = [contents(sample) for batch in loader for sample in batch]
    assert loaded == [contents(dataset[index]) for index in range(8)]


def test_samples_do_not_depend_on_order_threads_or_global_generators():
    dataset = scenes()
    first = contents(dataset[5])
    threads = cv2.getNumThreads()
    try:
        for count in (1, 2):
            cv2.setNumThreads(count)
            cv2.setRNGSeed(count)
            np.random.seed(count)
            dataset[7]
            assert contents(scenes(count=6)[5]) == first
    finally:
        cv2.setNumThreads(threads)


def test_splits_seeds_and_indices_never_share_a_scene():
    datasets = [scenes(split=split, seed=seed) for split in ("train", "val", "test") for seed in (0, 1)]
    images = {dataset[index].image1.tobytes() for dataset in datasets for index in range(12)}
    flows = {dataset[index].flow.tobytes() for dataset in datasets for index in range(12) if dataset[index].flow.any()}
    moving = sum(bool(dataset[index].flow.any()) for dataset in datasets for index in range(12))
    assert len(images) == len(datasets) * 12
    assert len(flows) == moving


def test_speeds_are_heavy_tailed_and_follow_the_size():
    """At 384x512: mean 8 to 12 pixels, 95th percentile above 30; here a quarter of it."""
    samples = [scenes(effects=None)[index] for index in range(240)]
    speeds = 4 * np.stack([magnitude(sample)[::3, ::3] for sample in samples])
    assert 8 < speeds.mean() < 12
    assert np.percentile(speeds, 95) > 30
    assert 60 < speeds.max() <= 100
    assert 0.02 < np.mean(speeds.max((1, 2)) == 0) < 0.08
    assert 0.02 < np.mean([sample.occluded.mean() for sample in samples]) < 0.15


def test_speeds_follow_the_configured_maximum():
    slow, fast = (scenes(max_displacement=limit, static_fraction=0.0) for limit in (50.0, 100.0))
    ratios = [magnitude(slow[index]).mean() / magnitude(fast[index]).mean() for index in range(20)]
    assert np.median(ratios) == pytest.approx(0.5, abs=0.05)


def test_the_default_scenes_are_those_of_the_first_day():
    """Means of image1, image2 and |flow|, and the occluded share, as they were before scenes could have more."""
    held = {
        0: (105.4005, 87.1093, 0.33993, 0.02515),
        1: (94.1863, 93.8177, 0.66115, 0.03149),
        2: (104.769, 103.6813, 1.32341, 0.07349),
        3: (86.5752, 86.4826, 1.32511, 0.0695),
    }
    for index, figures in held.items():
        sample = scenes()[index]
        found = sample.image1.mean(), sample.image2.mean(), np.abs(sample.flow).mean(), sample.occluded.mean()
        assert found == pytest.approx(figures, rel=1e-3)


def test_each_scene_draws_its_largest_displacement_log_uniformly():
    def slowness(limits):
        dataset = scenes(max_displacement=limits, static_fraction=0.0, effects=None)
        fastest = scenes(max_displacement=300.0, static_fraction=0.0, effects=None)
        return [magnitude(dataset[index]).mean() / magnitude(fastest[index]).mean() for index in range(60)]

    np.testing.assert_allclose(slowness([300.0, 300]), 1)
    ratios = np.array(slowness([60, 300]))
    assert 0.15 < ratios.min() < 0.4
    assert 0.8 < ratios.max() < 1.3
    # As many scenes lie below the geometric mean, 134 px, as above.
    assert 0.3 < np.mean(ratios < 134 / 300) < 0.7
    assert max(magnitude(scenes(max_displacement=[60, 300])[index]).max() for index in range(60)) <= 300 / 4


def test_static_samples_hold_still():
    dataset = scenes(static_fraction=1.0, effects=None)
    for index in range(10):
        pair = dataset.pair(index)
        np.testing.assert_array_equal(pair.forward.image1, pair.forward.image2)
        for sample in (pair.forward, pair.backward):
            assert not sample.flow.any()
            assert not sample.occluded.any()


def test_static_fraction_zero_has_no_static_sample():
    dataset = scenes(static_fraction=0.0)
    assert all(dataset[index].flow.any() for index in range(40))


def test_scenes_are_rich():
    """Contrast, colour, and no black left where a canvas ends."""
    samples = [scenes(effects=None)[index] for index in range(40)]
    contrasts = [sample.image1.std() for sample in samples]
    colours = [np.ptp(sample.image1.reshape(-1, 3).mean(0)) for sample in samples]
    assert np.median(contrasts) > 25
    assert np.min(contrasts) > 8
    assert np.median(colours) > 10
    for sample in samples:
        border = np.concatenate([sample.image2[[0, -1]].reshape(-1, 3), sample.image2[:, [0, -1]].reshape(-1, 3)])
        assert np.mean(border.max(-1) == 0) < 0.01


def test_indices_count_from_either_end():
    dataset = scenes(count=3)
    assert len(dataset) == 3
    assert dataset[-1].key == "synthetic/train/000002"
    with pytest.raises(IndexError):
        dataset[3]


@pytest.mark.parametrize(
    "changes",
    [
        {"split": "validation"},
        {"count": 0},
        {"seed": -1},
        {"size": (8, 512)},
        {"size": (384,)},
        {"layers": (5, 3)},
        {"max_displacement": 0},
        {"max_displacement": (300, 60)},
        {"max_displacement": (60, 100, 300)},
        {"motions": (3, 2)},
        {"static_fraction": 1.5},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_arguments_without_sense_are_refused_by_name(changes):
    with pytest.raises(FlowBenchError, match=f"{next(iter(changes))} is .*: give "):
        scenes(**changes)
