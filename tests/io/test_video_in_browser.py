"""A written video in a browser: it plays to its end."""

import re

import cv2
import numpy as np
from support.browser import browse, needs_browser

from flowbench.io import write_video

pytestmark = needs_browser

PAGE = """<!DOCTYPE html><video muted src="{name}"></video><script>
const video = document.querySelector("video");
for (const event of ["loadeddata", "timeupdate", "ended", "error"]) video.addEventListener(event, () => {{
  const {{videoWidth, videoHeight, readyState, currentTime}} = video;
  const frames = video.getVideoPlaybackQuality().totalVideoFrames;
  video.dataset.found = [videoWidth, videoHeight, readyState, frames, currentTime].join(" ");
}});
video.play().catch(() => 0);
</script>"""


def played(folder, name):
    """Width, height, readyState, frames shown and the time reached."""
    page = folder / "page.html"
    page.write_text(PAGE.format(name=name))
    shown = browse(folder, "--virtual-time-budget=8000", "--dump-dom", page.as_uri())
    return [float(number) for number in re.search('data-found="([^"]*)"', shown)[1].split()]


def moving(number):
    noise = np.random.default_rng(0).integers(0, 256, (48, 100, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)[:, number : number + 66].copy()


def test_webm_plays_and_mpeg4_does_not(tmp_path):
    for suffix in (".webm", ".mp4"):
        with write_video(tmp_path / f"clip{suffix}", fps=10) as video:
            for number in range(12):
                video.write(moving(number))
    width, height, state, frames, time = played(tmp_path, "clip.webm")
    assert (width, height) == (66, 48)
    # Enough is there to play on, and frames were shown.
    assert state >= 2
    assert frames >= 2
    assert 1.0 <= time <= 1.3
    assert played(tmp_path, "clip.mp4") == [0, 0, 0, 0, 0]
