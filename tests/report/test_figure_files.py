"""Charts of a page as PDF: one file each, of the page's own data."""

import re

import pytest
from matplotlib.figure import Figure

from flowbench.errors import FlowBenchError
from flowbench.report.charts import Histogram, LinePlot, ShareMap, StepBars
from flowbench.report.figure_files import check_figures
from flowbench.report.histogram import binned
from flowbench.report.line_plot import Line
from flowbench.report.page import plots, section, write_page

LINES = LinePlot(
    [
        Line([1, 2, 3, 4], [1.0, 0.1, 0.0, 0.01], "a", "first"),
        Line([1, 2], [2.0, float("nan")], "b", "second", ["p", "q"]),
    ],
    x="step",
    y="residual",
    log_y=True,
)
CHARTS = [
    LINES,
    Histogram([0.5, 1.0, float("nan"), *[2.0] * 300, 90.0], unit="px", counted="samples"),
    StepBars([1.0, 4.0, 0.0], x="step", y="dimensions"),
    ShareMap({"conv1": [0.0, 0.5], "conv2": [1.0, 0.25, 0.75]}, x="step", title="left out"),
]


def drawn(chart):
    axes = Figure().subplots()
    chart.draw(axes)
    return axes


def test_a_page_writes_each_chart_under_the_name_of_its_section(tmp_path):
    sections = [section("Error of the samples", CHARTS[1]), section("Rest & more", plots(*CHARTS[2:]), "<p>text</p>")]
    write_page(tmp_path / "page.html", "title", sections, figures="pdf")
    written = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    assert sorted(written) == ["error_of_the_samples.pdf", "rest_more_1.pdf", "rest_more_2.pdf"]
    for content in written.values():
        assert content.startswith(b"%PDF-")
        width, height = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", content).groups()
        assert (float(width) / 72, float(height) / 72) == pytest.approx((3.4, 2.4))
        # Letters that can be searched and edited: TrueType, not outlines.
        assert b"/CIDFontType2" in content or b"/TrueType" in content
    write_page(tmp_path / "page.html", "title", sections, figures="pdf")
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: type(chart).__name__)
def test_axes_say_in_print_what_they_say_on_the_page(chart):
    axes = drawn(chart)
    for told in (axes.get_xlabel().partition(",")[0], axes.get_ylabel() or axes.get_title()):
        assert told in chart.svg()


def test_lines_leave_out_what_a_logarithmic_axis_cannot_show():
    axes = drawn(LINES)
    assert axes.get_yscale() == "log"
    first, second = axes.lines[:2]
    assert [str(value) for value in first.get_ydata()] == ["1.0", "0.1", "nan", "0.01"]
    assert [str(value) for value in second.get_ydata()] == ["2.0", "nan"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["first", "second"]
    assert [text.get_text() for text in axes.texts] == ["p", "q"]


def test_a_histogram_has_the_bars_of_the_page():
    axes = drawn(CHARTS[1])
    _, edges, counts = binned(CHARTS[1].values)
    assert [patch.get_height() for patch in axes.patches] == counts.tolist()
    assert sum(counts) == 303
    assert axes.get_xlabel() == f"px, last bar: ≥ {edges[-2]:.3g}"


@pytest.mark.parametrize("figures", ["png", True, "PDF"])
def test_another_kind_of_file_is_refused(figures):
    with pytest.raises(FlowBenchError, match=f"figures={figures}: choose pdf or null"):
        check_figures(figures)


def test_without_matplotlib_pdf_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr("flowbench.report.figure_files.find_spec", lambda name: None)
    check_figures(None)
    with pytest.raises(FlowBenchError, match=r"pip install 'optical-flowbench\[figures\]'"):
        check_figures("pdf")


def test_the_svg_of_the_page_is_smaller_than_that_of_matplotlib(tmp_path):
    """Why the page keeps its own."""
    for chart in CHARTS:
        figure = Figure(figsize=(5.6, 3.0), layout="constrained")
        chart.draw(figure.subplots())
        figure.savefig(tmp_path / "chart.svg")
        content = (tmp_path / "chart.svg").read_bytes()
        assert len(chart.svg().encode()) < 0.5 * len(content)
