"""Procedural textures.

A pattern is a field of (h, w) uint8 values, drawn by a function of a random generator, the (height, width) in pixels and a
scale, the images' size over 384x512; a palette gives it colours. No pattern has detail finer than the pixels, so that images
of it at different zooms agree.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.draws import log_uniform, pick
from flowbench.data.scenes.palettes import draw_palette

# The smallest detail, in pixels: below it, image2 warped onto image1 would show the interpolation, not the motion.
FINEST_CELL = 3
# The width of the sharpest edge of a stripe, and the shortest wavelength of stripes, pixels.
STEEPEST_EDGE = 2.5
SHORTEST_WAVE = 10.0

Size = tuple[int, int]
"""(height, width) in pixels."""


def noise(rng: Generator, size: Size, scale: float) -> np.ndarray:
    """Noise of several octaves, the finer ones of equal contrast, as in images of nature."""
    height, width = (max(2, -(-side // FINEST_CELL) + 1) for side in size)
    octaves = int(rng.integers(3, 6))
    gain = rng.uniform(0.45, 0.75)
    shapes = [(max(2, height >> octave), max(2, width >> octave)) for octave in reversed(range(octaves))]
    field: np.ndarray = rng.random(shapes[0], dtype=np.float32)
    for shape in shapes[1:]:
        detail = rng.random(shape, dtype=np.float32)
        field = gain * detail + cv2.resize(field, shape[::-1], interpolation=cv2.INTER_LINEAR)
    grey = cv2.normalize(field, np.empty(field.shape, np.uint8), 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
    return cv2.resize(grey, size[::-1], interpolation=cv2.INTER_CUBIC)


def voronoi(rng: Generator, size: Size, scale: float) -> np.ndarray:
    """Cells of even value around random points; half of the time with dark joints."""
    height, width = size
    cell = log_uniform(rng, 12, 60) * scale
    count = max(4, round(height * width / max(cell, 2 * FINEST_CELL) ** 2))
    seeds = np.full(size, 255, np.uint8)
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    _, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    values = rng.integers(0, 256, count + 1).astype(np.uint8)
    field = values[labels]
    if rng.random() < 0.5:
        joints = cv2.morphologyEx(field, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        field[joints > 0] = 20
    return cv2.GaussianBlur(field, (3, 3), 0.8)


def stripes(rng: Generator, size: Size, scale: float) -> np.ndarray:
    """Parallel stripes, from soft waves to sharp bands."""
    return _to_bytes(_bands(rng, size, scale, rng.uniform(0, np.pi)))


def grid(rng: Generator, size: Size, scale: float) -> np.ndarray:
    """Two crossing sets of stripes: a chequerboard, or lines as in brick work and windows."""
    angle = rng.uniform(0, np.pi)
    first = _bands(rng, size, scale, angle)
    second = _bands(rng, size, scale, angle + np.pi / 2)
    return _to_bytes(first * second if rng.random() < 0.4 else np.minimum(first, second))


def gradient(rng: Generator, size: Size, scale: float) -> np.ndarray:
    """A slow change of value across the surface."""
    angle = rng.uniform(0, 2 * np.pi)
    x, y = np.linspace(-1, 1, size[1], dtype=np.float32), np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    return _to_bytes(0.7 * (float(np.cos(angle)) * x + float(np.sin(angle)) * y))


PATTERNS: tuple[tuple[Callable[[Generator, Size, float], np.ndarray], float], ...] = (
    (noise, 0.4),
    (voronoi, 0.2),
    (stripes, 0.12),
    (grid, 0.13),
    (gradient, 0.15),
)


def draw_texture(rng: Generator, size: Size, scale: float) -> np.ndarray:
    """A surface: (h, w, 3) uint8 RGB.

    Args:
        rng: draws pattern and colours.
        size: (height, width) in pixels.
        scale: the images' size over 384x512, to which pattern sizes are proportional.
    """
    field = pick(rng, PATTERNS)(rng, size, scale)
    roughness = rng.uniform(0.2, 0.5)
    # Even a painted wall has marks: without them flow would be unobservable inside stripes and cells.
    field = cv2.addWeighted(field, 1 - roughness, noise(rng, size, scale), roughness, 0)
    return cv2.applyColorMap(field, draw_palette(rng)[:, None])


def _bands(rng: Generator, size: Size, scale: float, angle: float) -> np.ndarray:
    wavelength = max(log_uniform(rng, 10, 70) * scale, SHORTEST_WAVE)
    frequency = 2 * np.pi / wavelength
    x, y = np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32)[:, None]
    phase = float(frequency * np.cos(angle)) * x + (float(frequency * np.sin(angle)) * y + rng.uniform(0, 2 * np.pi))
    steepness = log_uniform(rng, 1, max(1.01, wavelength / (np.pi * STEEPEST_EDGE)))
    return np.clip(np.sin(phase) * steepness, -1, 1)


def _to_bytes(field: np.ndarray) -> np.ndarray:
    return cv2.convertScaleAbs(field + 1, alpha=127.5)
