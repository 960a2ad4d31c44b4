"""The histogram counts every finite sample once."""

import re
from xml.etree import ElementTree

import numpy as np

from flowbench.report.histogram import histogram_svg


def counts(svg):
    titles = [title.text for title in ElementTree.fromstring(svg).iter("title")]
    return [int(re.search(r"(\d+) samples", title)[1]) for title in titles], titles


def test_every_finite_sample_is_in_one_bar():
    values = [*np.linspace(0, 1, 999), 50.0, float("nan")]
    bars, titles = counts(histogram_svg(values, unit="px", counted="samples"))
    assert sum(bars) == 1000
    assert titles[-1].startswith("≥ ")


def test_median_and_mean_are_written():
    svg = histogram_svg([1.0, 2.0, 6.0], unit="px", counted="samples")
    assert "median 2" in svg
    assert "mean 3" in svg


def test_equal_values_have_a_histogram():
    assert sum(counts(histogram_svg([0.0, 0.0], unit="px", counted="samples"))[0]) == 2
