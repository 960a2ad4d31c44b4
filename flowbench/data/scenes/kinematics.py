"""Random motions: translation, rotation, scaling.

Speeds are log-normal: most things move by a few pixels, some by many. Rotation, zoom, shear and deformation are drawn
as displacements of a surface's rim, in proportion to its speed. All displacements are in pixels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.draws import direction
from flowbench.data.scenes.motion import Motion, Wave, transform

# Median speeds over the largest displacement allowed, and the spread of their logarithm.
CAMERA_SPEED = 0.052
LAYER_SPEED = 0.06
SPREAD = 1.1
# The displacement of the rim over the speed: the standard deviation of each part of the motion.
CAMERA_RIM = 0.35
LAYER_RIM = 0.3
PERSPECTIVE = 0.12
# The share of layers that deform, and the sinusoids of a deformation.
DEFORMED_SHARE = 0.25
WAVES = 2
# Relative strength of rotation, zoom, shear and squeeze in a linear motion.
PARTS = np.array([1.0, 0.6, 0.3, 0.3])
# The displacement of each corner is limited over the image's shorter side, a wave over its wavelength / 2 pi.
# Beyond these, textures would be visibly resampled, or the deformation would fold.
LARGEST_PARTS = (0.5, 0.12, 0.12, 0.12)
LARGEST_PERSPECTIVE = 0.08
STEEPEST_WAVE = 0.12
# The limits on displacement are kept for shapes' outlines; their soft edges reach a little further.
LIMIT_MARGIN = 0.97


def draw_camera_motion(rng: Generator, size: tuple[int, int], limit: float) -> Motion:
    """A homography of the image plane.

    Args:
        rng: draws it.
        size: (height, width) of the image.
        limit: the largest displacement of a pixel of the image, pixels.
    """
    height, width = size
    points = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], float)
    from_centre = points - points.mean(0)
    speed = draw_speed(rng, CAMERA_SPEED, limit)
    displacement = from_centre @ _linear(rng, CAMERA_RIM * speed / np.hypot(*from_centre[0])).T
    most = LARGEST_PERSPECTIVE * min(size)
    displacement += direction(rng) * speed + np.clip(rng.normal(0, PERSPECTIVE * speed, (4, 2)), -most, most)
    while True:
        matrix = cv2.getPerspectiveTransform(points.astype(np.float32), (points + displacement).astype(np.float32))
        peak = _largest_displacement(matrix, size)
        if peak <= limit:
            return Motion(matrix)
        displacement *= LIMIT_MARGIN * limit / peak


def draw_layer_motion(rng: Generator, position: np.ndarray, radius: float, camera: Motion, limit: float) -> Motion:
    """An affine motion of a layer, at times with a deformation. The layer moves with the camera and, on top of that, on its
    own.

    Args:
        rng: draws the motion.
        position: (x, y) of the layer's centre, pixels.
        radius: of the layer, pixels.
        camera: the camera's motion.
        limit: the largest displacement in all, pixels.
    """
    speed = draw_speed(rng, LAYER_SPEED, limit)
    linear = _linear(rng, LAYER_RIM * speed / radius)
    carried = np.subtract(camera.forward(*position), position)
    translation = direction(rng) * speed + carried
    waves = _waves(rng, speed, radius) if rng.random() < DEFORMED_SHARE else ()
    stretch = math.sqrt((linear**2).sum())
    reach = sum(math.hypot(*wave.amplitude) for wave in waves)
    largest = math.hypot(*translation) + stretch * radius + (1 + stretch) * reach
    keep = min(1.0, LIMIT_MARGIN * limit / largest)
    matrix = np.eye(3)
    matrix[:2, :2] += keep * linear
    matrix[:2, 2] = keep * (translation - linear @ position)
    return Motion(matrix, tuple(wave.scaled(keep) for wave in waves))


def draw_speed(rng: Generator, median: float, limit: float) -> float:
    """A log-normal speed in pixels.

    Args:
        rng: draws it.
        median: as a share of the limit.
        limit: the largest speed, pixels.
    """
    return limit * min(1.0, median * math.exp(SPREAD * rng.standard_normal()))


def _linear(rng: Generator, strength: float) -> np.ndarray:
    """Rotation, zoom and shear by about `strength` displacement a pixel from the centre: (2, 2), minus the identity."""
    parts = (rng.standard_normal(4) * strength * PARTS).tolist()
    turn, zoom, shear, squeeze = (max(-most, min(value, most)) for value, most in zip(parts, LARGEST_PARTS))
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    stretch = np.array([[1 + zoom + squeeze, shear], [shear, 1 + zoom - squeeze]])
    return rotation @ stretch - np.eye(2)


def _waves(rng: Generator, speed: float, radius: float) -> tuple[Wave, ...]:
    """A deformation of a layer of `radius` pixels."""
    return tuple(_wave(rng, speed, radius) for _ in range(WAVES))


def _wave(rng: Generator, speed: float, radius: float) -> Wave:
    frequency = 2 * math.pi / (radius * rng.uniform(1.2, 3.0))
    amplitude = min(speed * rng.uniform(0.1, 0.4), STEEPEST_WAVE / frequency)
    return Wave(
        amplitude=tuple((direction(rng) * amplitude).tolist()),
        wavevector=tuple((direction(rng) * frequency).tolist()),
        phase=rng.uniform(0, 2 * math.pi),
    )


def _largest_displacement(matrix: np.ndarray, size: tuple[int, int]) -> float:
    height, width = size
    x, y = np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 9)[:, None]
    moved_x, moved_y = transform(matrix, x, y)
    return float(np.hypot(moved_x - x, moved_y - y).max())
