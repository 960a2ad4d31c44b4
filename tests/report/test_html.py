"""The report as text: complete, escaped, self-contained."""

import os
import re

import pytest

from flowbench.errors import FlowBenchError
from flowbench.report.html import Report, ReportImage, render_report, write_report


def test_report_holds_all_numbers_and_pictures(report):
    page = render_report(report)
    for expected in ("1.235", "4.57", "epe (px) ↓", "fl_all (%) ↓", "0.988", 'data-value="0.98765"', "alley_1/0249"):
        assert expected in page
    assert page.count("data:image/webp;base64,") == 2
    assert page.count("<svg") == 1


def test_text_is_escaped_and_never_a_placeholder(report):
    page = render_report(report)
    assert "<title>raft on &lt;sintel&gt; &amp; {{content}}</title>" in page
    for broken in ("<sintel>", "<script>document", "<b>cave", "<i>EPE"):
        assert broken not in page


def test_page_asks_for_nothing_from_outside(report):
    page = render_report(report)
    assert not re.search(r"https?://|@import|url\(", page)
    assert set(re.findall(r'(?:src|href)="([a-z]+:)', page)) == {"data:"}


def test_empty_report_has_a_title_only(tmp_path):
    write_report(tmp_path / "report.html", Report(title="nothing yet"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>nothing yet</h1>" in page
    assert "<section>" not in page
    assert os.listdir(tmp_path) == ["report.html"]


def test_missing_picture_is_an_error_that_names_it_and_leaves_no_report(tmp_path):
    report = Report(title="raft", images=[ReportImage(tmp_path / "gone.png", "gone")])
    with pytest.raises(FlowBenchError, match=r"gone\.png: no such file"):
        write_report(tmp_path / "report.html", report)
    assert os.listdir(tmp_path) == []
