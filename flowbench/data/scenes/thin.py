"""Thin structures: wires, twigs, grids, letters.

Each function draws one with a random generator into a mask, (h, w) uint8, within `radius` pixels of the mask's middle."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.draws import log_uniform, pick
from flowbench.data.scenes.shapes import MARGIN, SUBPIXEL_BITS, soften

# In pixels: a thinner line would nowhere cover more than half of a pixel.
THINNEST = 2
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)
LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
ALONG = np.linspace(-1, 1, 25)


def wires(rng: Generator, mask: np.ndarray, radius: float) -> None:
    """A bundle of up to six wires from side to side, each sagging on its own."""
    for _ in range(int(rng.integers(1, 7))):
        heights, sag = rng.uniform(-0.5, 0.5, 2), rng.uniform(0, 0.4)
        y = heights[0] + (heights[1] - heights[0]) * (ALONG + 1) / 2 + sag * (1 - ALONG**2)
        half = math.sqrt(1 - 0.9**2)
        _line(mask, np.stack([0.85 * ALONG, np.clip(y, -half, half)], 1) * radius, _thickness(rng, radius))


def twigs(rng: Generator, mask: np.ndarray, radius: float) -> None:
    """A stem that forks, three or four times."""
    ends = [(np.array([0.0, 0.9]), -math.pi / 2 + rng.normal(0, 0.15))]
    length, thickness = 0.6, float(max(THINNEST, 2 * _thickness(rng, radius)))
    for _ in range(int(rng.integers(3, 5))):
        grown = []
        for start, angle in ends:
            for side in (-1, 1):
                turned = angle + side * rng.uniform(0.15, 0.6)
                end = start + length * rng.uniform(0.6, 1) * np.array([math.cos(turned), math.sin(turned)])
                end /= max(1.0, np.hypot(*end))
                _line(mask, np.stack([start, end]) * radius, round(thickness))
                grown.append((end, turned))
        ends, length, thickness = grown, 0.7 * length, max(THINNEST, 0.65 * thickness)


def grid(rng: Generator, mask: np.ndarray, radius: float) -> None:
    """Bars that cross, or stand side by side, as in fences, windows and nets."""
    angle = rng.uniform(0.2, math.pi / 2 - 0.2)
    half_width, half_height = math.cos(angle), math.sin(angle)
    spacing = log_uniform(rng, 12, 60) / radius
    thickness = min(_thickness(rng, radius), max(THINNEST, round(spacing * radius / 3)))
    for x in np.arange(-half_width, half_width, spacing):
        _line(mask, np.array([(x, -half_height), (x, half_height)]) * radius, thickness)
    step = spacing if rng.random() < 0.7 else 2 * half_height * 0.8
    for y in np.arange(-0.8 * half_height, half_height, step):
        _line(mask, np.array([(-half_width, y), (half_width, y)]) * radius, thickness)


def letters(rng: Generator, mask: np.ndarray, radius: float) -> None:
    """A word of one to seven letters and digits."""
    word = "".join(rng.choice(LETTERS, int(rng.integers(1, 8))))
    font = FONTS[rng.integers(len(FONTS))]
    (width, height), below = cv2.getTextSize(word, font, 1, 1)
    size = 1.8 * radius / math.hypot(width, height + below)
    # Hershey's letters are about 21 units high, strokes included.
    thickness = max(THINNEST, round(size * rng.uniform(1, 5)))
    corner = np.round(np.array(mask.shape[::-1]) / 2 + size * np.array([-width, height - below]) / 2).astype(int)
    cv2.putText(mask, word, corner.tolist(), font, size, 255, thickness, cv2.LINE_AA)


KINDS: tuple[tuple[Callable[[Generator, np.ndarray, float], None], float], ...] = (
    (wires, 0.3),
    (twigs, 0.2),
    (grid, 0.25),
    (letters, 0.25),
)


def draw_thin(rng: Generator, radius: float) -> np.ndarray:
    """A mask of a structure within `radius` pixels of its middle: (h, w) uint8, 255 inside, with an empty rim."""
    side = 2 * (math.ceil(radius) + MARGIN) + 1
    mask = np.zeros((side, side), np.uint8)
    pick(rng, KINDS)(rng, mask, radius)
    for edge in (slice(None, MARGIN), slice(-MARGIN, None)):
        mask[edge] = mask[:, edge] = 0
    return soften(mask)


def _thickness(rng: Generator, radius: float) -> int:
    return max(THINNEST, round(log_uniform(rng, 2, 7) * min(1.0, radius / 80)))


def _line(mask: np.ndarray, points: np.ndarray, thickness: int) -> None:
    """A line through (N, 2) points about the mask's middle, in pixels."""
    middle = (np.array(mask.shape[::-1]) - 1) / 2
    fixed = np.round((points + middle) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.polylines(mask, [fixed], False, 255, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
