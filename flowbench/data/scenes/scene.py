"""Random scenes: a background and the things before it.

Shapes and motions are drawn in units of the image: a scene at another size is the same scene with its flow scaled.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.backgrounds import one_plane, several_planes
from flowbench.data.scenes.kinematics import draw_camera_motion
from flowbench.data.scenes.layers import Layer
from flowbench.data.scenes.motion import Motion
from flowbench.data.scenes.settings import SceneSettings
from flowbench.data.scenes.things import draw_radii, draw_things


def draw_scene(settings: SceneSettings, rng: Generator, texture_rng: Generator) -> list[Layer]:
    """A scene's layers from back to front; the first fills the image.

    Args:
        settings: of the scene.
        rng: draws shapes and motions, which therefore do not depend on the textures.
        texture_rng: draws textures.
    """
    static = rng.random() < settings.static_fraction
    camera = draw_camera_motion(rng, settings.size, settings.limit)
    radii = draw_radii(settings, rng)
    parallax = settings.shares.parallax
    if parallax and rng.random() < parallax:
        background, carrier = several_planes(settings, rng, texture_rng)
    else:
        background, carrier = [one_plane(settings, camera, rng, texture_rng)], lambda position: camera
    layers = [*background, *draw_things(settings, radii, carrier, rng, texture_rng)]
    return [replace(layer, motion=Motion(np.eye(3))) for layer in layers] if static else layers
