"""A line plot shows every point that can be drawn, where its axes say."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from flowbench.report.line_plot import SERIES, Line, line_plot_svg


def drawn(svg):
    """The parts of the plot: (x, y) of each line's points, piece by piece, and all texts with their places."""
    root = ElementTree.fromstring(svg)
    lines = [path.get("d") for path in root.iter("path") if path.get("class").startswith("line")]
    pieces = [
        [[tuple(map(float, p.split())) for p in re.sub("h0$", "", m).split("L")] for m in d.split("M")[1:]]
        for d in lines
    ]
    texts = {text.text: (float(text.get("x")), float(text.get("y"))) for text in root.iter("text")}
    return pieces, texts


def test_points_lie_where_the_ticks_are():
    pieces, texts = drawn(line_plot_svg([Line([0, 10, 20], [1.0, 3.0, 2.0])], x="step", y="EPE (px)"))
    (points,) = pieces[0]
    for (x, y), across, up in zip(points, ("0", "10", "20"), ("1", "3", "2")):
        assert x == pytest.approx(texts[across][0], abs=0.1)
        assert y == pytest.approx(texts[up][1] - 4, abs=0.1)
    assert {"step", "EPE (px)"} <= texts.keys()


def test_equal_factors_are_equal_distances_where_y_is_logarithmic():
    line = Line(range(1, 6), [100.0, 10.0, 1.0, 0.1, 0.01])
    pieces, texts = drawn(line_plot_svg([line], x="step", y="residual", log_y=True))
    heights = [y for _, y in pieces[0][0]]
    distances = [b - a for a, b in pairwise(heights)]
    assert distances == pytest.approx([distances[0]] * 4, abs=0.2)
    assert heights[1] == pytest.approx(texts["10"][1] - 4, abs=0.1)


def test_what_cannot_be_drawn_breaks_the_line():
    y = [1.0, 2.0, float("nan"), 4.0, 0.0, 5.0, float("inf")]
    log = drawn(line_plot_svg([Line(range(7), y)], x="", y="", log_y=True))[0][0]
    linear = drawn(line_plot_svg([Line(range(7), y)], x="", y=""))[0][0]
    assert [len(piece) for piece in log] == [2, 1, 1]
    assert [len(piece) for piece in linear] == [2, 3]


@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize(
    "lines",
    [[], [Line([], [])], [Line([1], [float("nan")])], [Line([3], [0.5])], [Line([1, 2], [7, 7])], [Line([0], [0])]],
)
def test_nothing_and_equal_values_are_drawn_as_axes(lines, log_y):
    svg = line_plot_svg(lines, x="step", y="EPE (px)", log_y=log_y)
    assert ElementTree.fromstring(svg).get("aria-label").startswith("EPE (px) against step")
    assert "nan" not in svg
    assert "inf" not in svg


@pytest.mark.parametrize("y", [[1e-8, 1e12], [0.9, 1.1], [2.01, 9.99], [1e-30, 1.5e-30], [3.0, 3.0]])
@pytest.mark.parametrize("log_y", [False, True])
def test_an_axis_has_at_least_two_ticks(y, log_y):
    svg = line_plot_svg([Line([1, 2], y)], x="", y="", log_y=log_y)
    assert 2 <= svg.count('class="grid"') <= 12


def test_steps_have_no_ticks_between_them():
    texts = drawn(line_plot_svg([Line([1, 2], [0.1, 0.2])], x="step", y="EPE"))[1]
    assert {"1", "2"} <= texts.keys()
    assert not {"1.2", "1.5"} & texts.keys()


def test_lines_of_one_series_share_a_colour_and_the_legend_names_it():
    lines = [Line([1, 2], [1, 2], series=name) for name in ("worst", "best", "worst")]
    svg = line_plot_svg(lines, x="", y="")
    assert re.findall(r'class="line series-(\d)"', svg) == ["0", "1", "0"]
    assert svg.count(">worst<") == svg.count(">best<") == 1
    many = [Line([1, 2], [1, 2], series=str(number)) for number in range(SERIES + 1)]
    assert re.findall(r'class="line series-(\d)"', line_plot_svg(many, x="", y=""))[-1] == "0"


def test_names_and_labels_are_escaped():
    svg = line_plot_svg([Line([1], [1], name="<b>", series="a&b", labels=["<i>"])], x="<x>", y='"y"')
    ElementTree.fromstring(svg)
    assert svg.count("<circle") == 1
    for broken in ("<b>", "a&b", "<i>", "<x>"):
        assert broken not in svg
