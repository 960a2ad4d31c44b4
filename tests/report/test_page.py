"""A page holds its sections in order, with its pictures inside and all text escaped."""

import base64
import os
import re

import cv2
import numpy as np

from flowbench.report.charts import LinePlot
from flowbench.report.line_plot import Line
from flowbench.report.page import captioned_image, note, plots, section, write_page


def test_sections_follow_in_order_and_text_cannot_break_the_page(tmp_path):
    chart = LinePlot([Line([1, 2], [3, 4])], x="a < b", y="y")
    sections = [section("<one>", plots(chart), note("a < b")), section("two {{ title }}")]
    write_page(tmp_path / "page.html", "{{ sections }} & more", sections)
    page = (tmp_path / "page.html").read_text()
    assert "<title>{{ sections }} &amp; more</title>" in page
    assert re.findall("<h2>(.*)</h2>", page) == ["&lt;one&gt;", "two {{ title }}"]
    assert f'<div class="plots">{chart.svg()}</div><p class="note">a &lt; b</p>' in page
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_picture_is_part_of_the_page():
    image = np.full((4, 6, 3), (200, 30, 90), np.uint8)
    figure = captioned_image(image, '"a" <caption>')
    assert "&quot;a&quot; &lt;caption&gt;" in figure
    data = base64.b64decode(re.search('base64,([^"]+)', figure)[1])
    decoded = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).max() < 12
