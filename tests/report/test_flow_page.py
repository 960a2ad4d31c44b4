"""The page of a prediction: what it holds, and how it behaves in a browser."""

import re

import numpy as np
import pytest
from support.browser import browse, needs_browser

from flowbench.io import read_image, write_video
from flowbench.report.flow_page import FlowPage, FlowStrip, write_flow_page

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (40, 60, 3), np.uint8)
FLOW = np.full((40, 60, 2), (3.0, 1.0), np.float32)


def strip(count, **limits):
    made = FlowStrip(**limits)
    for number in range(count):
        made(f"frame_{number}", np.roll(IMAGE, number, 1), FLOW, lambda flow: 4.0)
    return made


def rows(count):
    return [
        {"frame": f"frame_{number}", "mean": 1.0 + number, "median": 1.0, "p95": 3.0, "moving": 50.0}
        for number in range(count)
    ]


def write(path, count, video=None, **limits):
    made = {"model": "raft_small", "weights": "<best>.ckpt", "command": "predict.py 'a & b.mp4'"}
    page = FlowPage(
        title="Flow of <clip>",
        strip=strip(count, **limits),
        rows=rows(count),
        settings=made,
        threshold=0.5,
        fps=10,
        video=video,
    )
    write_flow_page(path, page)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (4, 4, [0, 1, 2, 3]),
        (5, 4, [0, 2, 4]),
        (9, 4, [0, 4, 8]),
        (17, 4, [0, 8, 16]),
        (16, 4, [0, 4, 8, 12]),
        (1, 4, [0]),
    ],
)
def test_a_long_strip_keeps_evenly_spaced_pairs(count, most, expected):
    made = strip(count, most=most)
    assert (made.numbers, made.seen) == (expected, count)
    shown = [re.search(r"frame_(\d+)</figcaption>", pair)[1] for pair in made.pairs]
    assert shown == [str(number) for number in expected]


def test_a_strip_keeps_to_its_size():
    pair = len(strip(1).pairs[0])
    made = strip(40, most_characters=10 * pair)
    assert 5 <= len(made.pairs) <= 10
    assert sum(map(len, made.pairs)) <= 10 * pair
    assert len(set(np.diff(made.numbers))) == 1
    # One is shown, however large.
    assert len(strip(3, most_characters=1).pairs) == 1


def test_the_page_escapes_text_and_says_what_it_leaves_out(tmp_path):
    page = write(tmp_path / "index.html", 9, most=4)
    assert "Flow of &lt;clip&gt;" in page
    assert "&lt;best&gt;.ckpt" in page
    assert "predict.py &#x27;a &amp; b.mp4&#x27;" in page
    assert all(name in page for name in ("mean (px)", "p95 (px)", "moving pixels (%)"))
    assert "A selection: 3 of 9 pairs, evenly spaced" in page
    assert "Moving: by 0.5 px or more." in page
    assert "http" not in re.sub(r'<meta http-equiv|xmlns="[^"]*"', "", page)
    assert page.count("data:image/webp") == 2 * 3 + 1
    assert "<video " not in page
    whole = write(tmp_path / "index.html", 3)
    assert "A selection" not in whole


def test_a_single_pair_has_nothing_to_scrub(tmp_path):
    page = write(tmp_path / "index.html", 1)
    assert '<input type="range"' not in page
    assert "arrow keys" not in page


PROBE = """<script>
const shown = () => [...document.querySelectorAll(".pair")].findIndex(pair => !pair.hidden);
const press = key => document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
const slider = document.querySelector(".strip input");
const found = [shown()];
press("ArrowRight"); found.push(shown());
press("ArrowRight"); found.push(shown());
press("ArrowLeft"); found.push(shown());
slider.value = 3; slider.dispatchEvent(new Event("input")); found.push(shown());
press("ArrowRight"); found.push(shown());
document.documentElement.dataset.steps = found.join(" ");
document.documentElement.dataset.label = document.querySelector(".strip output").textContent;
press(" ");
setTimeout(() => { press(" "); document.documentElement.dataset.played = shown(); }, 250);
const video = document.querySelector("video");
video.addEventListener("loadeddata", () => { document.documentElement.dataset.video = video.videoWidth; });
video.load();
</script></body>"""


@needs_browser
def test_the_page_is_scrubbed_by_slider_keys_and_play_and_shows_its_video(tmp_path):
    with write_video(tmp_path / "clip 1.webm", fps=10) as video:
        for number in range(6):
            video.write(np.roll(IMAGE, number, 1))
    page = write(tmp_path / "index.html", 4, video="clip 1.webm")
    (tmp_path / "probe.html").write_text(page.replace("</body>", PROBE), encoding="utf-8")
    shown = browse(tmp_path, "--virtual-time-budget=4000", "--dump-dom", (tmp_path / "probe.html").as_uri())
    told = dict(re.findall(r'data-(\S+)="([^"]*)"', shown[: shown.index("<head>")]))
    assert told["steps"] == "0 1 2 1 3 0"
    assert told["label"] == "1 / 4"
    # 250 ms at ten a second, and a timer that a busy machine delays.
    assert told["played"] in {"1", "2"}
    assert told["video"] == "60"
    assert told["images-loaded"] == "9"


@needs_browser
def test_the_page_is_drawn(tmp_path):
    write(tmp_path / "index.html", 4)
    browse(tmp_path, f"--screenshot={tmp_path / 'page.png'}", (tmp_path / "index.html").as_uri())
    assert read_image(tmp_path / "page.png").std() > 10


def test_wide_frames_are_shrunk_for_the_page():
    made = FlowStrip()
    made("wide", np.zeros((100, 1120, 3), np.uint8), np.zeros((100, 1120, 2), np.float32), lambda flow: 1.0)
    assert made.pairs[0].count('width="560" height="50"') == 2
