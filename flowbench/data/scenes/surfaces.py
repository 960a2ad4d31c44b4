"""Surfaces of a scene: photographs, procedural textures, plain colours."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.palettes import draw_palette
from flowbench.data.scenes.photographs import draw_photograph
from flowbench.data.scenes.settings import SceneSettings
from flowbench.data.scenes.textures import Size, draw_texture

# Of plain surfaces, how many are of one colour all over.
ONE_COLOUR_SHARE = 0.3


def draw_surface(settings: SceneSettings, rng: Generator, size: Size) -> np.ndarray:
    """(h, w, 3) uint8 RGB of a random kind.

    Args:
        settings: give the shares of the kinds.
        rng: draws the surface.
        size: (height, width) in pixels.
    """
    shares = settings.shares
    photographs = shares.photographs if settings.photographs else 0.0
    if shares.plain or photographs:
        draw = rng.random()
        if draw < photographs:
            return draw_photograph(rng, settings.photographs, size)
        if draw < photographs + shares.plain:
            return plain(rng, size)
    return draw_texture(rng, size, settings.scale)


def plain(rng: Generator, size: Size) -> np.ndarray:
    """One colour, or a slow gradient between the colours of a palette: (h, w, 3) uint8 RGB."""
    values = rng.uniform(0, 255, (2, 2))
    if rng.random() < ONE_COLOUR_SHARE:
        values[:] = values[0, 0]
    colours = draw_palette(rng)[values.astype(np.uint8)]
    return cv2.resize(colours, size[::-1], interpolation=cv2.INTER_LINEAR)
