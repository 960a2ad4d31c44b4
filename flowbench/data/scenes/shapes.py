"""The outlines of layers and their anti-aliased masks."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.draws import pick

# Coordinates of outlines are given to OpenCV in 1/16 pixel.
SUBPIXEL_BITS = 4
# Empty pixels around a mask: beyond it, sampling finds nothing.
MARGIN = 4
# In pixels: a thinner bar would nowhere cover more than half of a pixel.
THINNEST_BAR = 3.0
# Points along a bar; terms of a blob's Fourier series; points of a curve around the unit circle.
BAR_LENGTH = np.linspace(-1, 1, 17)
BLOB_ORDERS = np.arange(2, 7)
CIRCLE_ANGLES = np.arange(72) * (2 * np.pi / 72)
CIRCLE = np.stack([np.cos(CIRCLE_ANGLES), np.sin(CIRCLE_ANGLES)], 1)

Outline = np.ndarray
"""(N, 2) float64 vertices (x, y) about the shape's centre."""


def polygon(rng: Generator) -> Outline:
    """A star-shaped polygon of 3 to 8 vertices in the unit circle."""
    count = int(rng.integers(3, 9))
    angles = (np.arange(count) + rng.uniform(-0.35, 0.35, count)) * (2 * np.pi / count)
    return _polar(angles, rng.uniform(0.55, 1.0, count))


def ellipse(rng: Generator) -> Outline:
    """An ellipse in the unit circle, at least 0.35 wide."""
    return CIRCLE * (1.0, rng.uniform(0.35, 1.0))


def blob(rng: Generator) -> Outline:
    """A smooth closed curve in the unit circle, whose radius is a short Fourier series."""
    weights = rng.normal(0, 0.35, BLOB_ORDERS.size) / BLOB_ORDERS
    waves = np.cos(CIRCLE_ANGLES[:, None] * BLOB_ORDERS + rng.uniform(0, 2 * np.pi, BLOB_ORDERS.size))
    radius = np.maximum(1 + waves @ weights, 0.3)
    return CIRCLE * (radius / radius.max())[:, None]


def bar(rng: Generator, thinnest: float = 0.0) -> Outline:
    """A thin, slightly bent bar of length 2, at least `thinnest` wide."""
    spine = rng.normal(0, 0.12) * (1 - BAR_LENGTH**2)
    half = max(rng.uniform(0.025, 0.09), thinnest / 2)
    upper, lower = np.stack([BAR_LENGTH, spine + half], 1), np.stack([BAR_LENGTH, spine - half], 1)
    return np.concatenate([upper, lower[::-1]])


SHAPES: tuple[tuple[Callable[[Generator], Outline], float], ...] = (
    (polygon, 0.3),
    (ellipse, 0.2),
    (blob, 0.3),
    (bar, 0.2),
)
# The share of shapes with holes.
HOLE_PROBABILITY = 0.25


def draw_outlines(rng: Generator, radius: float) -> list[Outline]:
    """A shape in the unit circle, and after it the holes cut out of it; radius: that of the circle, in pixels."""
    shape = pick(rng, SHAPES)
    if shape is bar:
        return [bar(rng, thinnest=THINNEST_BAR / radius)]
    holes = _holes(rng) if rng.random() < HOLE_PROBABILITY else []
    return [shape(rng), *holes]


def rasterise(outlines: list[Outline], radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A mask of the outlines enlarged to `radius` pixels.

    Returns the mask, (h, w) uint8 with 255 inside, and its centre: the (x, y) pixel at which the outlines' origin lies.
    """
    vertices = [outline * radius for outline in outlines]
    low = np.floor(vertices[0].min(0)) - MARGIN
    width, height = (np.ceil(vertices[0].max(0)) + MARGIN - low).astype(int) + 1
    mask = np.zeros((height, width), np.uint8)
    shape, *holes = (np.round((points - low) * (1 << SUBPIXEL_BITS)).astype(np.int32) for points in vertices)
    cv2.fillPoly(mask, [shape], 255, lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
    if holes:
        cv2.fillPoly(mask, holes, 0, lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
    return soften(mask), -low


def soften(mask: np.ndarray) -> np.ndarray:
    """A mask with softer edges: OpenCV's are half a pixel wide, which aliases when they are resampled."""
    return cv2.GaussianBlur(mask, (3, 3), 0.6)


def _polar(angles: np.ndarray, radius: np.ndarray) -> Outline:
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], 1)


def _holes(rng: Generator) -> list[Outline]:
    """One large hole (a ring), or two or three small ones, apart from each other."""
    if rng.random() < 0.4:
        return [ellipse(rng) * 0.3]
    count = int(rng.integers(2, 4))
    angles = (np.arange(count) + rng.uniform()) * (2 * np.pi / count)
    return [blob(rng) * 0.13 + 0.24 * np.array([np.cos(angle), np.sin(angle)]) for angle in angles]
