"""Images of a scene, and its exact flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from flowbench.data.scenes.layers import Box, Layer, Window, clipped

# A layer is visible where it covers more than half of a pixel.
VISIBLE = 128
# OpenCV's remap limits the sides of an image: lists of points are arranged in rows.
POINTS_A_ROW = 512


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a scene.

    Args:
        number: 1 or 2.
        image: (H, W, 3) uint8 RGB.
        owner: (H, W) uint8, the index of the topmost layer at each pixel's centre.
    """

    number: int
    image: np.ndarray
    owner: np.ndarray


def render(scene: Sequence[Layer], number: int, size: tuple[int, int]) -> Frame:
    """One frame of a scene, composited from back to front.

    Args:
        scene: layers from back to front.
        number: 1 or 2.
        size: (height, width) in pixels.
    """
    height, width = size
    background = scene[0].image(*scene[0].locate(number, *_grid((slice(0, height), slice(0, width)))))
    image = cv2.cvtColor(background, cv2.COLOR_RGBA2RGB)
    owner = np.zeros(size, np.uint8)
    for index, layer in enumerate(scene[1:], start=1):
        window = layer.window(number, size)
        if window is None:
            continue
        drawn = layer.image(*layer.locate(number, *_grid(window)))
        coverage = cv2.extractChannel(drawn, 3)
        alpha = coverage * np.float32(1 / 255)
        image[window] = cv2.blendLinear(cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB), image[window], alpha, 1 - alpha)
        owner[window][coverage >= VISIBLE] = index
    return Frame(number, image, owner)


def exact_flow(scene: Sequence[Layer], frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """The motion of every pixel's topmost surface to the other frame.

    Returns the flow, (H, W, 2) float32 pixels, and the occlusion, (H, W) bool: where the surface's point lies outside
    the other image, or under another layer there.
    """
    size = frame.owner.shape
    destination_x, destination_y = np.empty(size, np.float32), np.empty(size, np.float32)
    for index, layer in enumerate(scene):
        owned = frame.owner == index
        window = _window_of(owned)
        if window is None:
            continue
        move = layer.motion.forward if frame.number == 1 else layer.motion.inverse
        x, y = move(*_grid(window))
        np.copyto(destination_x[window], x, where=owned[window])
        np.copyto(destination_y[window], y, where=owned[window])
    height, width = size
    inside = (destination_x >= 0) & (destination_x <= width - 1) & (destination_y >= 0) & (destination_y <= height - 1)
    x, y = _grid((slice(0, height), slice(0, width)))
    u, v = destination_x - x, destination_y - y
    steps = float(u.min()), float(v.min()), float(u.max()), float(v.max())
    covered = _covered(scene, 3 - frame.number, frame.owner, destination_x, destination_y, steps)
    return cv2.merge([u, v]), ~inside | covered


def _covered(
    scene: Sequence[Layer],
    number: int,
    owner: np.ndarray,
    destination_x: np.ndarray,
    destination_y: np.ndarray,
    steps: Box,
) -> np.ndarray:
    """Where a layer in front of the owner covers the destination in frame `number`; steps: the range of the flow."""
    covered = np.zeros(owner.shape, bool)
    leftmost, upmost, rightmost, downmost = steps
    for index, layer in enumerate(scene[1:], start=1):
        left, top, right, bottom = layer.bounds(number, owner.shape)
        # Only from here can a point have come into the box.
        window = clipped((left - rightmost, top - downmost, right - leftmost, bottom - upmost), owner.shape)
        if window is None:
            continue
        x, y = destination_x[window], destination_y[window]
        below = (owner[window] < index) & ~covered[window] & (x > left) & (x < right) & (y > top) & (y < bottom)
        if below.any():
            covered[window][below] = _coverage_at(layer, number, x[below], y[below]) >= VISIBLE
    return covered


def _window_of(mask: np.ndarray) -> Window | None:
    """The smallest window that holds all of a mask, or None of an empty one."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    return (slice(top, top + height), slice(left, left + width)) if width else None


def _coverage_at(layer: Layer, number: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    canvas = layer.locate(number, x, y)
    return layer.coverage(*(_as_image(values) for values in canvas)).ravel()[: x.size]


def _as_image(values: np.ndarray) -> np.ndarray:
    """(N,) values in rows, as OpenCV wants them; the last row is filled up with zeros."""
    rows = np.zeros((-(-values.size // POINTS_A_ROW), POINTS_A_ROW), np.float32)
    rows.ravel()[: values.size] = values
    return rows


def _grid(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """The x of a window's columns, as a row, and the y of its rows, as a column: float32 pixels."""
    rows, columns = window
    x = np.arange(columns.start, columns.stop, dtype=np.float32)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)
    return x, y[:, None]
