"""Scaling, captions and grids of images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

CAPTION_HEIGHT = 30
_GAP = 4
BACKGROUND = 24
_TEXT = (235, 235, 235)
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.55


def scaled(image: np.ndarray, width: int, drawn: np.ndarray | None = None) -> np.ndarray:
    """The image at another width: pixels stay sharp squares when it grows, and are averaged when it shrinks.

    Args:
        image: (H, W, 3) uint8 RGB.
        width: of the result, pixels.
        drawn: (H, W) bool, the pixels to average over, so that sparse ones keep their colours; None for all.
    """
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    if width >= image.shape[1]:
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
    average = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if drawn is None:
        return average
    weight = drawn.astype(np.float32)[..., None]
    total = cv2.resize(image * weight, (width, height), interpolation=cv2.INTER_AREA)
    share = cv2.resize(weight, (width, height), interpolation=cv2.INTER_AREA)[..., None]
    return np.where(share > 0, total / np.maximum(share, 1e-9), average).round().astype(np.uint8)


def captioned(image: np.ndarray, text: str, legend: np.ndarray | None = None) -> np.ndarray:
    """The image with a line of text above it.

    Args:
        image: (H, W, 3) uint8 RGB.
        text: which is cut to the image's width.
        legend: an image of at most CAPTION_HEIGHT rows, at the line's end.
    """
    width = image.shape[1]
    strip = np.full((CAPTION_HEIGHT, width, 3), BACKGROUND, np.uint8)
    room = width - 12
    if legend is not None:
        height, legend_width = legend.shape[:2]
        top = (CAPTION_HEIGHT - height) // 2
        strip[top : top + height, width - legend_width - 4 : width - 4] = legend
        room -= legend_width + 8
    cv2.putText(strip, _fitting(text, room), (6, 20), _FONT, _FONT_SCALE, _TEXT, 1, cv2.LINE_AA)
    return np.concatenate([strip, image])


def grid(images: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Images of one size in that many rows, left to right, with a small gap."""
    columns = -(-len(images) // rows)
    empty = np.full_like(images[0], BACKGROUND)
    cells = [*images, *[empty] * (rows * columns - len(images))]
    return stacked([_beside(cells[row * columns : (row + 1) * columns]) for row in range(rows)])


def stacked(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images below each other with a small gap; narrower ones are filled up on the right."""
    width = max(image.shape[1] for image in images)
    parts = []
    for image in images:
        bottom = _GAP if image is not images[-1] else 0
        parts.append(_bordered(image, bottom=bottom, right=width - image.shape[1]))
    return np.concatenate(parts)


def _beside(images: Sequence[np.ndarray]) -> np.ndarray:
    parts = [_bordered(image, bottom=0, right=_GAP) for image in images[:-1]]
    return np.concatenate([*parts, images[-1]], axis=1)


def _bordered(image: np.ndarray, bottom: int, right: int) -> np.ndarray:
    grey = (BACKGROUND, BACKGROUND, BACKGROUND)
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=grey)


def _fitting(text: str, room: int) -> str:
    # OpenCV's built-in fonts know ASCII only.
    text = text.encode("ascii", "replace").decode()
    shortened = text
    while len(text) > 1 and cv2.getTextSize(shortened, _FONT, _FONT_SCALE, 1)[0][0] > room:
        text = text[:-1]
        shortened = text + ".."
    return shortened
