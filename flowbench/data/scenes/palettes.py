"""Colour palettes of natural scenes."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.random import Generator

# Hues, from 0 to 1, of skin and brick, wood, sand, grass, leaves, sky and dusk, and the share of colours that have one.
NATURAL_HUES = (0.03, 0.08, 0.12, 0.22, 0.33, 0.57, 0.66)
NATURAL_SHARE = 0.75

RAMP = np.linspace(0, 1, 256)


def draw_palette(rng: Generator) -> np.ndarray:
    """A ramp of colours from dark to light: (256, 3) uint8 RGB."""
    count = int(rng.integers(3, 6))
    hues = _hue(rng) + rng.normal(0, 0.05, count)
    if rng.random() < 0.35:
        hues[rng.integers(count)] = _hue(rng)
    saturations = rng.beta(2, 2.5) * rng.uniform(0.6, 1.2, count)
    dark, light = rng.uniform(0.05, 0.45), rng.uniform(0.6, 1.0)
    values = np.sort(rng.uniform(dark, light, count))
    values[0], values[-1] = dark, light
    colours = [colorsys.hsv_to_rgb(h % 1, min(s, 1), v) for h, s, v in zip(hues, saturations, values)]
    return _ramp(np.array(colours))


def _hue(rng: Generator) -> float:
    if rng.random() < NATURAL_SHARE:
        return NATURAL_HUES[rng.integers(len(NATURAL_HUES))] + rng.normal(0, 0.02)
    return rng.random()


def _ramp(colours: np.ndarray) -> np.ndarray:
    """(N, 3) colours in [0, 1], evenly spaced and joined by straight lines."""
    last = len(colours) - 1
    weights = np.maximum(0, 1 - np.abs(RAMP[:, None] * last - np.arange(last + 1)))
    return (weights @ colours * 255 + 0.5).astype(np.uint8)
