"""Real pairs of the data sets, where they lie beside the project: formats are decoded as their authors meant them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.warping import warping_error

from flowbench.data.pair_files import PairPaths, read_pair
from flowbench.engine.checks.warping import difference_after_warping
from flowbench.io import read_mask
from flowbench.structures import FlowSample

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"
WITH_TRUTH = [
    "kitti2015_000010",
    "kitti2012_000045",
    "sintel_alley_1_0002_final",
    "sintel_cave_2_0002_final",
    "chairs_0000004",
    "middlebury_RubberWhale",
    "middlebury_Grove2",
    "stereo_cones",
]

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="needs real samples in ../shared/real")


def real_pair(name: str) -> FlowSample:
    """Where noc.png marks what is visible in both pictures, the rest of the truth is occluded."""
    folder = REAL / name
    sample = read_pair(PairPaths(name, folder / "frame1.png", folder / "frame2.png", folder / "flow.png"))
    visible = read_mask(folder / "noc.png") if (folder / "noc.png").is_file() else sample.valid
    return replace(sample, occluded=sample.valid & ~visible)


@pytest.mark.parametrize("name", WITH_TRUTH)
def test_the_truth_of_real_pairs_has_the_recorded_density_and_length(name):
    text = (REAL / name / "source.txt").read_text()
    density, mean, largest = map(
        float, re.search(r"GT density ([\d.]+)%; mean \|flow\| ([\d.]+) px; max ([\d.]+) px", text).groups()
    )
    sample = real_pair(name)
    length = np.hypot(*np.moveaxis(sample.flow, -1, 0))[sample.valid]
    assert 100 * sample.valid.mean() == pytest.approx(density, abs=0.006)
    assert length.mean() == pytest.approx(mean, abs=0.002)
    assert length.max() == pytest.approx(largest, abs=0.02)


@pytest.mark.parametrize("name", WITH_TRUTH)
def test_the_truth_of_real_pairs_leads_from_picture_to_picture(name):
    sample = real_pair(name)
    led = warping_error(sample)
    assert led < 0.6 * warping_error(sample, times=0.0)
    for wrong in (-1.0, 2.0):
        assert led < 0.8 * warping_error(sample, times=wrong)


def test_original_files_of_chairs_are_decoded():
    folder = REAL / "original"
    names = ("0000005-img0.ppm", "0000005-img1.ppm", "0000005-gt.flo")
    sample = read_pair(PairPaths("chairs/5", *(folder / name for name in names)))
    assert sample.image1.shape == (384, 512, 3)
    assert sample.valid.all()
    visible = replace(sample, occluded=np.zeros(sample.valid.shape, bool))
    assert warping_error(visible) < 0.4 * warping_error(visible, times=0.0)


@pytest.mark.parametrize("name", WITH_TRUTH)
def test_warping_tells_right_flow_from_wrong(name):
    sample = real_pair(name)
    assert difference_after_warping(sample) < 0.4
    for wrong in (sample.flow[..., ::-1], -sample.flow):
        assert difference_after_warping(replace(sample, flow=np.ascontiguousarray(wrong))) > 0.9
