"""A page holds its sections in order, with its pictures inside and all text escaped."""

import base64
import re

import cv2
import numpy as np

from flowbench.report.page import note, picture, plots, section, write_page


def test_sections_follow_in_order_and_text_cannot_break_the_page(tmp_path):
    sections = [section("<one>", plots("<svg/>"), note("a < b")), section("two {{content}}")]
    write_page(tmp_path / "page.html", "{{content}} & more", sections)
    page = (tmp_path / "page.html").read_text()
    assert "<title>{{content}} &amp; more</title>" in page
    assert re.findall("<h2>(.*)</h2>", page) == ["&lt;one&gt;", "two {{content}}"]
    assert '<div class="plots"><svg/></div><p class="note">a &lt; b</p>' in page


def test_a_picture_is_part_of_the_page():
    image = np.full((4, 6, 3), (200, 30, 90), np.uint8)
    figure = picture(image, '"a" <caption>')
    assert "&quot;a&quot; &lt;caption&gt;" in figure
    data = base64.b64decode(re.search('base64,([^"]+)', figure)[1])
    decoded = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).max() < 12
