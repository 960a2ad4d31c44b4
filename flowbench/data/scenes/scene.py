"""What a scene is made of, drawn at random.

Shapes and motions are drawn in units of the image: a scene at another size is the same scene with its flow scaled.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.kinematics import draw_camera_motion
from flowbench.data.scenes.layers import Layer, placement
from flowbench.data.scenes.motion import Motion
from flowbench.data.scenes.settings import SceneSettings
from flowbench.data.scenes.surfaces import draw_surface
from flowbench.data.scenes.things import draw_radii, draw_things

# How much of the surroundings the background's canvas holds, on each side; beyond, it continues mirrored.
SURROUNDINGS = 0.12


def draw_scene(settings: SceneSettings, rng: Generator, texture_rng: Generator) -> list[Layer]:
    """A scene's layers from back to front; the first is the background.

    Shapes and motions come from `rng` alone, so that the choice of textures does not change them.
    """
    static = rng.random() < settings.static_fraction
    camera = draw_camera_motion(rng, settings.size, settings.limit)
    radii = draw_radii(settings, rng)
    background = _background(settings, camera, rng, texture_rng)
    layers = [background, *draw_things(settings, radii, lambda position: camera, rng, texture_rng)]
    return [replace(layer, motion=Motion(np.eye(3))) for layer in layers] if static else layers


def _background(settings: SceneSettings, motion: Motion, rng: Generator, texture_rng: Generator) -> Layer:
    height, width = settings.size
    canvas_size = (round(height * (1 + 2 * SURROUNDINGS)), round(width * (1 + 2 * SURROUNDINGS)))
    centre = np.array([canvas_size[1] - 1, canvas_size[0] - 1]) / 2
    image_centre = np.array([width - 1, height - 1]) / 2 + rng.uniform(-0.5, 0.5, 2)
    canvas = placement(rng.uniform(-0.1, 0.1), image_centre, centre)
    return Layer(draw_surface(settings, texture_rng, canvas_size), None, canvas, motion)
