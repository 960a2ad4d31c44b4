"""What a scene is made of, drawn at random.

Shapes and motions are drawn in units of the image: a scene at another size is the same scene with its flow scaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.kinematics import draw_camera_motion, draw_layer_motion
from flowbench.data.scenes.layers import Layer
from flowbench.data.scenes.motion import Motion
from flowbench.data.scenes.photographs import draw_photograph
from flowbench.data.scenes.shapes import draw_outlines, rasterise
from flowbench.data.scenes.textures import draw_texture

# Sizes and displacements are stated for images of this size.
REFERENCE_SIZE = (384, 512)
# Radii of layers over the images' size: from a ball to a bus.
RADII = (0.06, 0.42)
# How much of the surroundings the background's canvas holds, on each side; beyond, it continues mirrored.
SURROUNDINGS = 0.12
PHOTOGRAPH_SHARE = 0.6


@dataclass(frozen=True)
class SceneSettings:
    """What the user can choose about scenes.

    size: (height, width) in pixels. layers: the fewest and the most layers in front of the background.
    max_displacement: pixels at 384x512. static_fraction: the share of scenes in which nothing moves. photographs:
    files, or none.
    """

    size: tuple[int, int]
    layers: tuple[int, int]
    max_displacement: float
    static_fraction: float
    photographs: tuple[str, ...] = ()

    @cached_property
    def scale(self) -> float:
        """The images' size over 384x512: the square root of the ratio of their areas."""
        return math.sqrt(math.prod(self.size) / math.prod(REFERENCE_SIZE))

    @property
    def limit(self) -> float:
        """The largest displacement in pixels at this size."""
        return self.max_displacement * self.scale


def draw_scene(settings: SceneSettings, rng: Generator, texture_rng: Generator) -> list[Layer]:
    """A scene's layers from back to front; the first is the background.

    Shapes and motions come from `rng` alone, so that the choice of textures does not change them.
    """
    static = rng.random() < settings.static_fraction
    fewest, most = settings.layers
    camera = draw_camera_motion(rng, settings.size, settings.limit)
    radii = np.exp(rng.uniform(*np.log(RADII), int(rng.integers(fewest, most + 1))))
    # Large things tend to be far from the front, or they would hide the rest.
    radii = radii[np.argsort(-radii * rng.uniform(0.5, 1.5, radii.size))]
    layers = [_background(settings, camera, rng, texture_rng)]
    layers += [_foreground(settings, float(radius), camera, rng, texture_rng) for radius in radii]
    return [replace(layer, motion=Motion(np.eye(3))) for layer in layers] if static else layers


def _background(settings: SceneSettings, motion: Motion, rng: Generator, texture_rng: Generator) -> Layer:
    height, width = settings.size
    canvas_size = (round(height * (1 + 2 * SURROUNDINGS)), round(width * (1 + 2 * SURROUNDINGS)))
    centre = np.array([canvas_size[1] - 1, canvas_size[0] - 1]) / 2
    image_centre = np.array([width - 1, height - 1]) / 2 + rng.uniform(-0.5, 0.5, 2)
    canvas = _placement(rng.uniform(-0.1, 0.1), image_centre, centre)
    return Layer(_texture(settings, texture_rng, canvas_size), None, canvas, motion)


def _foreground(
    settings: SceneSettings, radius: float, camera: Motion, rng: Generator, texture_rng: Generator
) -> Layer:
    height, width = settings.size
    pixels = radius * settings.scale * REFERENCE_SIZE[0]
    mask, centre = rasterise(draw_outlines(rng, pixels), pixels)
    position = rng.uniform(-0.05, 1.05, 2) * (width, height)
    canvas = _placement(rng.uniform(0, 2 * np.pi), position, centre)
    motion = draw_layer_motion(rng, position, pixels, camera, settings.limit)
    return Layer(_texture(settings, texture_rng, mask.shape), mask, canvas, motion)


def _placement(angle: float, position: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The (3, 3) map from frame 1 to a canvas that is turned by `angle` and has its `centre` at `position`."""
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = rotation, centre - rotation @ position
    return matrix


def _texture(settings: SceneSettings, rng: Generator, size: tuple[int, int]) -> np.ndarray:
    if settings.photographs and rng.random() < PHOTOGRAPH_SHARE:
        return draw_photograph(rng, settings.photographs, size)
    return draw_texture(rng, size, settings.scale)
