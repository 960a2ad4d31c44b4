"""A bar stands over each step, as high as its number."""

from xml.etree import ElementTree

import pytest

from flowbench.report.bars import step_bars_svg


def test_bars_are_as_high_as_their_numbers_and_stand_on_one_floor():
    root = ElementTree.fromstring(step_bars_svg([1.0, 4.0, 0.0, 2.0], x="step", y="<dimensions>"))
    bars = list(root.iter("rect"))
    heights = [float(bar.get("height")) for bar in bars]
    assert heights == pytest.approx([heights[1] / 4, heights[1], 0, heights[1] / 2], abs=0.1)
    floors = [float(bar.get("y")) + float(bar.get("height")) for bar in bars]
    assert floors == pytest.approx([floors[0]] * 4, abs=0.1)
    assert [bar[0].text for bar in bars] == [f"step {n}: {v} <dimensions>" for n, v in enumerate("1402", start=1)]


def test_a_number_stands_under_the_middle_of_its_bar():
    root = ElementTree.fromstring(step_bars_svg([1.0, 2.0, 3.0], x="step", y="count"))
    middles = [float(bar.get("x")) + float(bar.get("width")) / 2 for bar in root.iter("rect")]
    places = [
        float(text.get("x"))
        for text in root.iter("text")
        if text.get("text-anchor") == "middle" and text.text.isdigit()
    ]
    assert places == pytest.approx(middles, abs=0.1)


def test_bars_of_no_height_are_drawn_too():
    root = ElementTree.fromstring(step_bars_svg([0.0, 0.0], x="step", y="count"))
    assert [float(bar.get("height")) for bar in root.iter("rect")] == [0, 0]


@pytest.mark.parametrize("heights", [[], [1.0, -1.0], [float("nan")], [float("inf")]])
def test_what_is_no_height_is_refused(heights):
    with pytest.raises(ValueError, match="none below zero"):
        step_bars_svg(heights, x="step", y="count")
