"""Regions of a plane that are bounded by straight edges.

Edges are (N, 3) lines (a, b, c): a point belongs to the region where a x + b y + c > 0 for all of them.
"""

from __future__ import annotations

from functools import reduce

import cv2
import numpy as np


def coverage(edges: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """uint8: 255 inside, 0 outside, and a ramp of one pixel in between.

    Args:
        edges: (N, 3) lines, with (a, b) of length one.
        x: of the points, pixels.
        y: as x.
    """
    distances = (a * x + (b * y + (c + 0.5)) for a, b, c in edges.tolist())
    return cv2.convertScaleAbs(np.clip(reduce(np.minimum, distances), 0, 1), alpha=255)


def widened(edges: np.ndarray) -> np.ndarray:
    """The edges moved outwards by a pixel, where a and b have length one: `coverage` is 0 beyond them."""
    return edges + np.array([0, 0, 1])


def box(edges: np.ndarray, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    """(left, top, right, bottom) of the region within an image of `size` (height, width), or None where it is empty."""
    height, width = size
    corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], float)
    for a, b, c in edges.tolist():
        corners = _cut(corners, corners @ (a, b) + c)
    if not len(corners):
        return None
    return *corners.min(0).tolist(), *corners.max(0).tolist()


def _cut(corners: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """The part of a convex polygon, (N, 2), where the distances of its corners from a line are positive."""
    kept = []
    for index, (corner, distance) in enumerate(zip(corners, distances)):
        before, distance_before = corners[index - 1], distances[index - 1]
        if distance * distance_before < 0:
            kept.append(corner + (before - corner) * distance / (distance - distance_before))
        if distance > 0:
            kept.append(corner)
    return np.array(kept).reshape(-1, 2)
