"""The report of a solver: its figures, its residuals, and what a step more is worth."""

import re

import pytest

from flowbench.report.comparison import comparison_plots
from flowbench.report.convergence import MOST_LINES, StepErrors, Trace, residual_plots
from flowbench.report.html import Report, render_report


def trace(index, reason="converged", steps=4):
    return Trace(
        f"sample {index}", reason, [10.0**-step for step in range(steps)], [0.1**step for step in range(steps)]
    )


def names(svg):
    return re.findall(r"<title>(.*?)</title>", svg)


def test_every_sample_has_a_line_up_to_the_most_that_are_readable():
    few = [trace(index) for index in range(3)]
    assert [names(plot.svg()) for plot in residual_plots(few)] == [["sample 0", "sample 1", "sample 2"]] * 2
    many = names(residual_plots([trace(index) for index in range(7 * MOST_LINES)])[0].svg())
    assert len(many) == MOST_LINES
    assert many[:2] + many[-1:] == ["sample 0", "sample 7", f"sample {7 * (MOST_LINES - 1)}"]


def test_lines_are_coloured_by_why_the_solver_left():
    svg = residual_plots([trace(0), trace(1, "step_limit"), trace(2)])[0].svg()
    assert re.findall(r'class="line series-(\d)"', svg) == ["0", "1", "0"]
    assert ">step limit<" in svg


def test_a_limit_without_an_error_is_left_out_of_the_plot():
    rows = [{"iterations": 2, "seconds_per_pair": 0.1, "epe": 3.0}, {"iterations": 4, "seconds_per_pair": 0.2}]
    for svg in (plot.svg() for plot in comparison_plots(rows)):
        assert svg.count("<circle") == 1
    assert ">3.000<" in comparison_plots(rows)[0].svg()


@pytest.mark.parametrize("count", [MOST_LINES, MOST_LINES + 1])
def test_report_says_when_it_leaves_samples_out(count):
    page = render_report(Report("deqflow", traces=[trace(index) for index in range(count)]))
    assert (f"Residuals of {MOST_LINES} of the {count} samples" in page) is (count > MOST_LINES)
    assert page.count("<svg") == 2


def test_report_has_a_section_each_for_solver_limits_and_convergence():
    rows = [
        {"iterations": limit, "steps": limit - 0.5, "epe": 1 / limit, "seconds_per_pair": limit} for limit in (2, 4)
    ]
    report = Report(
        "deqflow",
        solver={"steps": 3.5, "converged": 25.0},
        compared=rows,
        traces=[trace(0)],
        step_errors=[StepErrors("sample 0", "worst", [3.0, 2.0])],
    )
    page = render_report(report)
    assert re.findall("<h2>(.*?)</h2>", page) == ["Iterations", "Solver", "Convergence"]
    assert page.count("<svg") == 5
    assert "converged (%)" in page
    assert page.count('id="compared"') == page.count('id="solver"') == 1
