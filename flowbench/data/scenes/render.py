"""Pictures of a scene, and its exact flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from flowbench.data.scenes.layers import Layer, Window

# A layer is what one sees where it covers more than half of a pixel.
VISIBLE = 128
POINTS_A_ROW = 512


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a scene.

    number: 1 or 2. image: (H, W, 3) uint8 RGB. owner: (H, W) uint8, the index of the topmost layer at each pixel's
    centre.
    """

    number: int
    image: np.ndarray
    owner: np.ndarray


def render(scene: Sequence[Layer], number: int, size: tuple[int, int]) -> Frame:
    """Frame 1 or 2 of a scene, composited from back to front; size: (height, width) in pixels."""
    image = scene[0].colour(*scene[0].locate(number, *_grid(scene[0].window(number, size))))
    owner = np.zeros(size, np.uint8)
    for index, layer in enumerate(scene[1:], start=1):
        window = layer.window(number, size)
        if window is None:
            continue
        canvas = layer.locate(number, *_grid(window))
        coverage = layer.coverage(*canvas)
        alpha = coverage * np.float32(1 / 255)
        image[window] = cv2.blendLinear(layer.colour(*canvas), image[window], alpha, 1 - alpha)
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
        window = layer.window(frame.number, size)
        if window is None:
            continue
        move = layer.motion.forward if frame.number == 1 else layer.motion.inverse
        x, y = move(*_grid(window))
        owned = frame.owner[window] == index
        np.copyto(destination_x[window], x, where=owned)
        np.copyto(destination_y[window], y, where=owned)
    height, width = size
    inside = (destination_x >= 0) & (destination_x <= width - 1) & (destination_y >= 0) & (destination_y <= height - 1)
    covered = _covered(scene, 3 - frame.number, frame.owner, destination_x, destination_y)
    x, y = _grid((slice(0, height), slice(0, width)))
    return cv2.merge([destination_x - x, destination_y - y]), ~inside | covered


def _covered(
    scene: Sequence[Layer], number: int, owner: np.ndarray, destination_x: np.ndarray, destination_y: np.ndarray
) -> np.ndarray:
    """Where a layer in front of the owner covers the destination in frame `number`."""
    covered = np.zeros(owner.shape, bool)
    for index, layer in enumerate(scene[1:], start=1):
        left, top, right, bottom = layer.bounds(number)
        below = (owner < index) & (destination_x > left) & (destination_x < right)
        below &= (destination_y > top) & (destination_y < bottom)
        points = np.flatnonzero(below)
        if points.size:
            coverage = _coverage_at(layer, number, destination_x.ravel()[points], destination_y.ravel()[points])
            covered.ravel()[points[coverage >= VISIBLE]] = True
    return covered


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
