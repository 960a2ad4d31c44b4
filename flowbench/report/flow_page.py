"""The page of a prediction: a strip of frames and their flow, and the numbers of its motion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment

from flowbench.report.charts import LinePlot
from flowbench.report.colour import flow_to_image, wheel_image
from flowbench.report.drawing import scaled
from flowbench.report.html_table import html_table
from flowbench.report.line_plot import Line
from flowbench.report.page import Plots, Section, captioned_image, note, plots, section, value_list, write_page

_WIDEST = 560
_WHEEL = 110
_MOST_POINTS = 500
# A picture that moves: lower than of one that stands.
_QUALITY = 80
# What the table calls those whose names say too little.
_COLUMNS = {"moving": "moving pixels", "occluded": "occluded pixels"}


class FlowStrip:
    """Frames and their flow for a page, evenly spaced, as many as it has room for, however many come.

    Args:
        most: pairs.
        most_characters: of HTML.

    Attributes:
        seen: how many pairs came.
        numbers: of the pairs that are kept, from 0.
    """

    def __init__(self, most: int = 200, most_characters: int = 10_000_000) -> None:
        self.seen = 0
        self._most, self._most_characters = most, most_characters
        self._spacing = 1
        self._kept: list[tuple[int, str]] = []

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self._kept]

    @property
    def pairs(self) -> list[str]:
        """The HTML of the pairs that are kept."""
        return [pair for _, pair in self._kept]

    def __call__(self, name: str, image: np.ndarray, flow: np.ndarray, scale: Callable[[np.ndarray], float]) -> None:
        """Takes the next pair.

        Args:
            name: of the frame.
            image: (H, W, 3) uint8 RGB.
            flow: (H, W, 2), pixels.
            scale: gives the length of the fullest colour, pixels, for the flow.
        """
        if self.seen % self._spacing == 0:
            self._kept.append((self.seen, _pair(name, image, flow, scale(flow))))
        self.seen += 1
        # Every second one goes: what is left is evenly spaced again.
        while len(self._kept) > self._most or self._is_too_long():
            self._kept = self._kept[::2]
            self._spacing *= 2

    def _is_too_long(self) -> bool:
        return len(self._kept) > 1 and sum(len(pair) for _, pair in self._kept) > self._most_characters


@dataclass(frozen=True)
class FlowPage:
    """The content of the page.

    Args:
        title: plain text.
        strip: of frames and flow.
        rows: the numbers of each pair, as in motion.csv.
        settings: that the flow depends on.
        threshold: from which on a pixel counts as moving, pixels.
        fps: at which the strip plays.
        video: its name beside the page, where there is one.
    """

    title: str
    strip: FlowStrip
    rows: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]
    threshold: float
    fps: float
    video: str | None = None


def write_flow_page(path: str | Path, page: FlowPage) -> None:
    """Writes one HTML file, which needs no other but the video.

    Raises FlowBenchError, naming the file, when it cannot be written.
    """
    sections = [section("Frames and flow", *_strip(page))]
    if page.video is not None:
        player = f'<video controls loop muted preload="metadata" src="{escape(page.video)}"></video>'
        sections.append(section("Video", player, note(f"{page.video}, every pair, beside this page.")))
    sections += [section("How it was made", value_list(page.settings)), _motion(page)]
    write_page(path, page.title, sections)


def _strip(page: FlowPage) -> list[str]:
    template = files("flowbench.report").joinpath("flow_viewer.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    strip = environment.from_string(template).render(pairs=page.strip.pairs, fps=page.fps)
    legend = note(
        "The colour is the direction in which a pixel moves, as on the wheel; its strength is the length, fullest at the "
        "scale that is named above. White does not move."
    )
    content = [strip, f'<div class="wheel">{captioned_image(wheel_image(_WHEEL), "colour wheel")}{legend}</div>']
    shown = len(page.strip.pairs)
    if shown > 1:
        content.append(note("Slider, arrow keys, or space to play."))
    if shown < page.strip.seen:
        content.append(note(f"A selection: {shown} of {page.strip.seen} pairs, evenly spaced, to keep the page small."))
    return content


def _motion(page: FlowPage) -> Section:
    content: list[str | Plots] = []
    if len(page.rows) > 2:
        spaced = range(0, len(page.rows), -(-len(page.rows) // _MOST_POINTS))
        lines = [
            Line(list(spaced), [float(page.rows[number][name]) for number in spaced], title, title)
            for name, title in (("p95", "95th percentile"), ("mean", "mean"), ("median", "median"))
        ]
        content.append(plots(LinePlot(lines, x="pair", y="motion (px)")))
    shown = [page.rows[number] for number in page.strip.numbers]
    content.append(html_table([{_COLUMNS.get(name, name): row[name] for name in row} for row in shown], name="motion"))
    content.append(
        note(
            f"Moving: by {page.threshold:g} px or more."
            + (" Occluded: not visible in the second frame." if "occluded" in shown[0] else "")
            + " motion.csv has the numbers of every pair."
        )
    )
    return section("Motion", *content)


def _pair(name: str, image: np.ndarray, flow: np.ndarray, max_flow: float) -> str:
    if image.shape[1] > _WIDEST:
        image = scaled(image, _WIDEST)
        # Shrunk before it is coloured, which takes most of the time.
        flow = cv2.resize(flow, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    shown = (image, name), (flow_to_image(flow, max_flow=max_flow), f"flow, scale {max_flow:.1f} px")
    return "".join(captioned_image(each, caption, quality=_QUALITY) for each, caption in shown)
