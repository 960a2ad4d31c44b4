"""A self-contained HTML page: titled sections of charts, tables, images and notes."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment

from flowbench.io.atomic import written_aside
from flowbench.io.image import encode_image
from flowbench.report.charts import Chart
from flowbench.report.figure_files import FOLDER, write_figures

# Characters of a value that has a line of its own.
_LONG = 100


@dataclass(frozen=True)
class Plots:
    """Charts side by side where the window has room."""

    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class Section:
    """title: plain text. content: HTML or charts, one part below the other."""

    title: str
    content: tuple[str | Chart | Plots, ...]

    @property
    def charts(self) -> list[Chart]:
        rows = [
            part.charts if isinstance(part, Plots) else (part,) for part in self.content if not isinstance(part, str)
        ]
        return [chart for row in rows for chart in row]

    @property
    def html(self) -> str:
        return "".join(map(_html, self.content))


def _html(part: str | Chart | Plots) -> str:
    if isinstance(part, Plots):
        return f'<div class="plots">{"".join(chart.svg() for chart in part.charts)}</div>'
    return part if isinstance(part, str) else part.svg()


def write_page(path: str | Path, title: str, sections: Sequence[Section], figures: str | None = None) -> None:
    """Writes one HTML file.

    Args:
        path: of the file.
        title: plain text.
        sections: of the page.
        figures: "pdf" also writes each chart as a PDF, named for its section, into figures/ beside the file.

    Raises FlowBenchError, naming the file, when it cannot be written.
    """
    page = render_page(title, sections)
    with written_aside(path) as aside:
        aside.write_text(page, encoding="utf-8")
    if figures:
        write_figures(Path(path).parent / FOLDER, {section.title: section.charts for section in sections})


def render_page(title: str, sections: Sequence[Section]) -> str:
    """The page's HTML. title: plain text."""
    template = files("flowbench.report").joinpath("report_template.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    return environment.from_string(template).render(title=title, sections=sections)


def section(title: str, *content: str | Chart | Plots) -> Section:
    """title: plain text. content: HTML or charts, one part below the other."""
    return Section(title, content)


def plots(*charts: Chart) -> Plots:
    """Charts side by side where the window has room."""
    return Plots(charts)


def note(text: str) -> str:
    """A remark in small print; text: plain, escaped here."""
    return f'<p class="note">{escape(text)}</p>'


def value_list(values: Mapping[str, Any], *, name: str = "settings") -> str:
    """Names with their values. Everything is escaped here. name: the id of the list."""
    lines = (
        f"<div{_class(str(value))}><dt>{escape(str(key))}</dt><dd>{escape(str(value))}</dd></div>"
        for key, value in values.items()
    )
    return f'<dl id="{escape(name)}">{"".join(lines)}</dl>'


def _class(value: str) -> str:
    return ' class="long"' if len(value) > _LONG else ""


def captioned_image(image: np.ndarray, caption: str, *, quality: int = 90) -> str:
    """An image that becomes part of the page.

    Args:
        image: (H, W, 3) uint8 RGB.
        caption: plain text, escaped here.
        quality: of the WebP, up to 100.
    """
    data = base64.b64encode(encode_image(image, ".webp", name=caption, quality=quality)).decode()
    size = f'width="{image.shape[1]}" height="{image.shape[0]}"'
    caption = escape(caption)
    return (
        f'<figure><img src="data:image/webp;base64,{data}" alt="{caption}" {size}>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
