"""The report in a browser: its pictures decode, its tables hold the numbers, page by page, and sort."""

from html.parser import HTMLParser

import pytest
from support.browser import browse, needs_browser

from flowbench.io import read_image
from flowbench.report.html import write_report

pytestmark = needs_browser


class Tables(HTMLParser):
    """The shown text of each table's rows, by the table's id, and the attributes of <html>."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.root, self.table, self.cell, self.hidden = {}, {}, None, None, 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "html":
            self.root = attributes
        elif tag == "table":
            self.table = self.rows.setdefault(attributes["id"], [])
        elif tag == "tr":
            self.table.append([])
            if "hidden" in attributes:
                self.hidden += 1
        elif tag in ("td", "th"):
            self.cell = []

    def handle_data(self, data):
        if self.cell is not None:
            self.cell.append(data)

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.table[-1].append("".join(self.cell))
            self.cell = None


@pytest.fixture
def page(tmp_path, report):
    path = tmp_path / "report.html"
    write_report(path, report)
    return path


def test_pictures_decode_and_tables_hold_the_numbers(tmp_path, page, report):
    tables = Tables(browse(tmp_path, "--dump-dom", page.as_uri()))
    assert tables.root["data-images-loaded"] == "2"
    assert tables.rows["metrics"] == [["epe (px) ↓", "1.235"], ["fl_all (%) ↓", "4.57"]]
    assert tables.rows["per-sequence"][1:] == [['"alley_1"', "0.988"], ["<b>cave_2</b>", "2.500"]]
    samples = tables.rows["per-sample"]
    assert samples[0] == ["key", "epe (px) ↓", "steps"]
    assert len(samples) == 1 + len(report.per_sample)
    assert samples[4] == ["alley_1/0003", "1.110", "3"]
    assert samples[8] == ["alley_1/0007", "-", "7"]
    assert tables.hidden == 150


def test_click_on_a_heading_sorts_from_the_largest(tmp_path, page):
    # A second script, which the test adds, stands for the reader's click.
    click = "<script>document.querySelectorAll('#per-sample thead button')[1].click()</script></body>"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", click), encoding="utf-8")
    samples = Tables(browse(tmp_path, "--dump-dom", page.as_uri())).rows["per-sample"][1:]
    errors = [-1.0 if row[1] == "-" else float(row[1]) for row in samples]
    assert errors[:3] == [-1.0, 2.49, 2.48]
    assert errors[1:] == sorted(errors[1:], reverse=True)


def test_page_is_drawn(tmp_path, page):
    browse(tmp_path, f"--screenshot={tmp_path / 'page.png'}", page.as_uri())
    picture = read_image(tmp_path / "page.png")
    assert picture.shape == (1600, 1280, 3)
    assert picture.std() > 10
