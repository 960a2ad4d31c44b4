"""A textured, moving surface."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from flowbench.data.scenes import half_planes
from flowbench.data.scenes.motion import Motion, transform

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels."""

EVERYWHERE: Box = (-1e9, -1e9, 1e9, 1e9)
NOWHERE: Box = (1e9, 1e9, -1e9, -1e9)

Window = tuple[slice, slice]
"""Rows and columns of an image."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A surface painted on a canvas of its own, placed in frame 1 and moved to frame 2.

    Both images sample the canvas in the same way, each at its own coordinates.

    Args:
        texture: (h, w, 3) uint8 RGB, mirrored beyond its border.
        mask: (h, w) uint8, 255 on the surface, bilinear between its pixels; None for an infinite surface.
        canvas: (3, 3) affine map from frame 1 to canvas pixels.
        motion: from frame 1 to frame 2.
        edges: bounds of an infinite surface, (N, 3) lines (a, b, c): it is where a x + b y + c > 0 for all of them, in
            canvas pixels, with a and b of length one.
    """

    texture: np.ndarray
    mask: np.ndarray | None
    canvas: np.ndarray
    motion: Motion
    edges: np.ndarray | None = None

    def locate(self, frame: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Canvas coordinates of points of a frame.

        Args:
            frame: 1 or 2.
            x: float32, pixels.
            y: as x.
        """
        if frame == 1:
            return transform(self.canvas, x, y)
        if self.motion.waves:
            return transform(self.canvas, *self.motion.inverse(x, y))
        return transform(self._canvas_from_frame2, x, y)

    def image(self, canvas_x: np.ndarray, canvas_y: np.ndarray) -> np.ndarray:
        """(..., 4) uint8 colours and coverage at canvas coordinates; without meaning where nothing is covered."""
        border = cv2.BORDER_REFLECT_101 if self.mask is None else cv2.BORDER_CONSTANT
        image = cv2.remap(self._painted, canvas_x, canvas_y, cv2.INTER_LINEAR, borderMode=border)
        if self.edges is not None:
            cv2.insertChannel(self.coverage(canvas_x, canvas_y), image, 3)
        return image

    def coverage(self, canvas_x: np.ndarray, canvas_y: np.ndarray) -> np.ndarray:
        """uint8 coverage at canvas coordinates; 0 beyond the canvas of a mask."""
        if self.edges is not None:
            return half_planes.coverage(self.edges, canvas_x, canvas_y)
        if self.mask is None:
            return np.full_like(canvas_x, 255, np.uint8)
        return cv2.remap(self.mask, canvas_x, canvas_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)

    def window(self, frame: int, size: tuple[int, int]) -> Window | None:
        """The part of an image of `size` (height, width) that can show this layer, or None."""
        return clipped(self.bounds(frame, size), size)

    def bounds(self, frame: int, size: tuple[int, int]) -> Box:
        """A box in a frame outside of which the layer covers nothing of an image of `size` (height, width)."""
        if self.edges is None:
            return self._bounds[frame - 1]
        # A homography takes lines to lines, and keeps their sides.
        edges = half_planes.widened(self.edges) @ (self.canvas if frame == 1 else self._canvas_from_frame2)
        found = half_planes.box(edges, size)
        return NOWHERE if found is None else (found[0] - 1, found[1] - 1, found[2] + 1, found[3] + 1)

    @cached_property
    def _painted(self) -> np.ndarray:
        """Texture and mask in one image: OpenCV samples four channels much faster than three and one."""
        painted = cv2.cvtColor(self.texture, cv2.COLOR_RGB2RGBA)
        if self.mask is not None:
            cv2.insertChannel(self.mask, painted, 3)
        return painted

    @cached_property
    def _canvas_from_frame2(self) -> np.ndarray:
        return self.canvas @ np.linalg.inv(self.motion.matrix)

    @cached_property
    def _bounds(self) -> tuple[Box, Box]:
        if self.mask is None:
            return EVERYWHERE, EVERYWHERE
        height, width = self.mask.shape
        first = transformed_box(np.linalg.inv(self.canvas), (0, 0, width - 1, height - 1))
        left, top, right, bottom = first
        reach = self.motion.reach
        return first, transformed_box(self.motion.matrix, (left - reach, top - reach, right + reach, bottom + reach))


def clipped(box: Box, size: tuple[int, int]) -> Window | None:
    """The pixels of an image of `size` (height, width) that lie in a box, or None."""
    height, width = size
    left, top, right, bottom = box
    rows = slice(max(0, math.floor(top)), min(height, math.ceil(bottom) + 1))
    columns = slice(max(0, math.floor(left)), min(width, math.ceil(right) + 1))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def transformed_box(matrix: np.ndarray, box: Box) -> Box:
    """The box around a box's four corners after a (3, 3) homography."""
    left, top, right, bottom = box
    points = [transform(matrix, x, y) for x in (left, right) for y in (top, bottom)]
    xs, ys = zip(*points)
    return min(xs), min(ys), max(xs), max(ys)


def placement(angle: float, position: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The (3, 3) map from frame 1 to the canvas of a layer.

    Args:
        angle: of the layer, radians.
        position: (x, y) of its centre in frame 1, pixels.
        centre: (x, y) on the canvas, pixels.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = rotation, centre - rotation @ position
    return matrix
