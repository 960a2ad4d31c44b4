"""A page of figures that needs nothing else: titled sections of plots, tables, pictures and notes."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np

from flowbench.io.atomic import written_aside
from flowbench.io.image import encode_image


def write_page(path: str | Path, title: str, sections: Sequence[str]) -> None:
    """Writes one HTML file. sections: HTML, as `section` makes it.

    Raises FlowBenchError, naming the file, when it cannot be written.
    """
    page = render_page(title, sections)
    with written_aside(path) as aside:
        aside.write_text(page, encoding="utf-8")


def render_page(title: str, sections: Sequence[str]) -> str:
    """The page's HTML. title: plain, escaped here."""
    parts = {"title": escape(title), "content": "\n".join(sections)}
    template = files("flowbench.report").joinpath("report_template.html").read_text(encoding="utf-8")
    # In one pass, so that a user's text that looks like a placeholder stays what it is.
    return re.sub(r"\{\{(title|content)\}\}", lambda match: parts[match[1]], template)


def section(title: str, *content: str) -> str:
    """content: HTML, one part below the other."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{''.join(content)}\n</section>"


def plots(*svgs: str) -> str:
    """Plots side by side where the window has room."""
    return f'<div class="plots">{"".join(svgs)}</div>'


def note(text: str) -> str:
    """A remark in small print; text: plain, escaped here."""
    return f'<p class="note">{escape(text)}</p>'


def picture(image: np.ndarray, caption: str) -> str:
    """image: (H, W, 3) uint8 RGB. It becomes part of the page. caption: plain text, escaped here."""
    data = base64.b64encode(encode_image(image, ".webp", name=caption)).decode()
    size = f'width="{image.shape[1]}" height="{image.shape[0]}"'
    caption = escape(caption)
    return (
        f'<figure><img src="data:image/webp;base64,{data}" alt="{caption}" {size}>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
