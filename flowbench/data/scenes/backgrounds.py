"""Backgrounds: one plane, or several with parallax."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes import half_planes
from flowbench.data.scenes.layers import Layer, clipped, placement
from flowbench.data.scenes.motion import Motion
from flowbench.data.scenes.parallax import Plane, draw_planes, nearest
from flowbench.data.scenes.settings import SceneSettings
from flowbench.data.scenes.surfaces import draw_surface

# Margin of the background's canvas around the image, over the image's size; beyond it, the canvas continues mirrored.
SURROUNDINGS = 0.12
# Pixels of a receding plane's texture over those of the image, where it is nearest.
NEAR_DETAIL = 0.8
# The smallest inverse depth of a visible point, over that of the back wall.
FURTHEST = 0.6

Carrier = Callable[[np.ndarray], Motion]
"""The motion of the background at an (x, y) position, with which things move."""


def one_plane(settings: SceneSettings, motion: Motion, rng: Generator, texture_rng: Generator) -> Layer:
    """A surface that fills the image, moved by the camera.

    Args:
        settings: of the scene.
        motion: the camera's.
        rng: draws the canvas's position.
        texture_rng: draws the texture.
    """
    size, centre = _canvas(settings)
    position = _middle(settings) + rng.uniform(-0.5, 0.5, 2)
    canvas = placement(rng.uniform(-0.1, 0.1), position, centre)
    return Layer(draw_surface(settings, texture_rng, size), None, canvas, motion)


def several_planes(settings: SceneSettings, rng: Generator, texture_rng: Generator) -> tuple[list[Layer], Carrier]:
    """A back wall, a ground and at times a side wall, from back to front, and the motion of things that stand on them.

    Args:
        settings: of the scene.
        rng: draws the planes and the camera's motion.
        texture_rng: draws the textures.
    """
    planes = draw_planes(rng, settings.size, settings.limit)
    size, centre = _canvas(settings)
    canvas = placement(0.0, _middle(settings) + rng.uniform(-0.5, 0.5, 2), centre)
    layers = []
    for plane in planes:
        texture = draw_surface(settings, texture_rng, size)
        edges = plane.edges @ np.linalg.inv(canvas) if len(plane.edges) else None
        if edges is not None:
            texture = _receding(texture, plane, canvas, edges)
        layers.append(Layer(texture, None, canvas, plane.motion, edges))
    return layers, lambda position: nearest(planes, position).motion


def _receding(texture: np.ndarray, plane: Plane, canvas: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """A texture as it looks on a plane that recedes from the camera, on the canvas of the image, where it is seen."""
    height, width = texture.shape[:2]
    box = half_planes.box(half_planes.widened(edges), (height, width))
    part = None if box is None else clipped(box, (height, width))
    if part is None:
        return texture
    rows, columns = part
    x = np.arange(columns.start, columns.stop, dtype=np.float32)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    maps = np.vstack([plane.spread, plane.inverse_depth]) @ np.linalg.inv(canvas)
    across, along, depth = (a * x + (b * y + c) for a, b, c in maps.tolist())
    detail = NEAR_DETAIL * float(depth.max()) / np.maximum(depth, FURTHEST)
    x, y = detail * across + width / 2, detail * along + height / 2
    texture[part] = cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return texture


def _canvas(settings: SceneSettings) -> tuple[tuple[int, int], np.ndarray]:
    """(height, width) of the background's canvas, and its centre (x, y)."""
    height, width = settings.size
    size = round(height * (1 + 2 * SURROUNDINGS)), round(width * (1 + 2 * SURROUNDINGS))
    return size, np.array([size[1] - 1, size[0] - 1]) / 2


def _middle(settings: SceneSettings) -> np.ndarray:
    return (np.array(settings.size[::-1]) - 1) / 2
