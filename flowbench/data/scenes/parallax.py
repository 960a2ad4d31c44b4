"""Backgrounds with parallax: the planes of a street or a room before one camera that moves.

Each plane goes on without end, and along each ray the nearest is seen, as from inside of a room. So the edges between
planes are straight lines, and planes that the same camera sees keep them together.

Inverse depth is linear in the pixels (x, y) of a plane: q . (x, y, 1). With K the camera, R its rotation and t its
translation, the points of the plane move by the homography K R K^-1 + K t q^T (Hartley and Zisserman, Multiple View
Geometry, chapter 13).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.kinematics import CAMERA_SPEED, LIMIT_MARGIN, draw_speed
from flowbench.data.scenes.motion import Motion, transform

# The focal length over the image's longer side: from a wide angle to a slight telephoto.
FOCAL_LENGTHS = (0.7, 1.5)
# How far from the image's middle the back wall meets the ground and the side wall, over the image's height and width.
GROUND_EDGE = (0.07, 0.3)
WALL_EDGE = (0.1, 0.4)
# The share of scenes with a side wall, and the camera's roll: standard deviation in radians.
WALL_SHARE = 0.5
ROLL = 0.08
# The inverse depth of the back wall is 1 in the middle; it changes by about this much to the rim.
TILT = 0.1
# The camera's turning over its translation, and how much it goes sideways, up and down, and ahead.
TURNING = 0.15
PATH = (1.0, 0.4, 1.0)
# The depth of a point may change by this much from image1 to image2.
LARGEST_DEPTH_CHANGE = 0.4
# Where planes are looked at: rows and columns of points, the corners among them.
LOOKS = (25, 33)
# A camera's motion is scaled to the wanted speed in so many steps, and then shrunk by this factor until it keeps the limits.
FITTING_STEPS = 3
SHRINK = 0.8


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane of a background.

    Args:
        inverse_depth: q of the plane in frame 1.
        edges: (N, 3) lines (a, b, c) in pixels: where a x + b y + c > 0 for all of them, this plane is nearer than those
            before it in the list.
        spread: the (2, 3) map from pixels (x, y, 1) to points of the plane, times inverse depth.
        motion: of its points.
    """

    inverse_depth: np.ndarray
    edges: np.ndarray
    spread: np.ndarray
    motion: Motion


def draw_planes(rng: Generator, size: tuple[int, int], limit: float) -> list[Plane]:
    """A back wall, half of the time a side wall, and a ground, from back to front.

    Args:
        rng: draws the planes and the camera's motion.
        size: (height, width) of the image.
        limit: the largest displacement of a visible point, pixels.
    """
    height, width = size
    focal = rng.uniform(*FOCAL_LENGTHS) * max(size)
    camera = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    depths, axes = _draw_room(rng, size)
    speed = draw_speed(rng, CAMERA_SPEED, limit)
    path, turning = rng.normal(0, PATH), rng.normal(0, TURNING, 3)
    homographies = _fitted(camera, depths, path, turning, speed, limit, size)
    planes = []
    for index, (depth, axis, homography) in enumerate(zip(depths, axes, homographies)):
        edges = np.array([depth - other for other in depths[:index]]).reshape(-1, 3)
        edges /= np.linalg.norm(edges[:, :2], axis=1, keepdims=True)
        planes.append(Plane(depth, edges, axis @ np.linalg.inv(camera) * focal, Motion(homography)))
    return planes


def nearest(planes: list[Plane], position: np.ndarray) -> Plane:
    """The plane that is seen at an (x, y) position of frame 1."""
    return max(planes, key=lambda plane: float(plane.inverse_depth @ (*position, 1)))


def _draw_room(rng: Generator, size: tuple[int, int]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The inverse depths of the planes, and two (2, 3) axes along each."""
    height, width = size
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    roll = rng.normal(0, ROLL)
    across, down = np.array([np.cos(roll), np.sin(roll)]), np.array([-np.sin(roll), np.cos(roll)])
    tilt = rng.normal(0, 2 * TILT / max(size), 2)
    slopes = [tilt]
    axes = [np.eye(3)[:2]]
    offsets = [1.0]
    if rng.random() < WALL_SHARE:
        side = 1 if rng.random() < 0.5 else -1
        slopes.append(side * across / (rng.uniform(*WALL_EDGE) * width))
        axes.append(np.array([[0, 0, 1], [*down, 0]]))
        offsets.append(0.0)
    slopes.append(down / (rng.uniform(*GROUND_EDGE) * height))
    axes.append(np.array([[*across, 0], [0, 0, 1]]))
    offsets.append(0.0)
    return [np.array([*slope, offset - slope @ middle]) for slope, offset in zip(slopes, offsets)], axes


def _fitted(
    camera: np.ndarray,
    depths: list[np.ndarray],
    path: np.ndarray,
    turning: np.ndarray,
    speed: float,
    limit: float,
    size: tuple[int, int],
) -> list[np.ndarray]:
    """The planes' homographies for a motion of the camera in the given direction, at which points move by `speed` pixels
    on average, or less where one of them would move by more than `limit` or come too near."""
    amount = speed / camera[0, 0]
    for _ in range(FITTING_STEPS):
        mean, _, _ = _look(camera, depths, amount * path, amount * turning, size)
        amount *= speed / max(mean, 1e-6)
    while True:
        _, largest, change = _look(camera, depths, amount * path, amount * turning, size)
        if largest <= LIMIT_MARGIN * limit and change <= LARGEST_DEPTH_CHANGE:
            return _homographies(camera, depths, amount * path, amount * turning)
        amount *= SHRINK


def _homographies(
    camera: np.ndarray, depths: list[np.ndarray], translation: np.ndarray, rotation: np.ndarray
) -> list[np.ndarray]:
    turn = camera @ cv2.Rodrigues(rotation)[0] @ np.linalg.inv(camera)
    return [turn + np.outer(camera @ translation, depth) for depth in depths]


def _look(
    camera: np.ndarray, depths: list[np.ndarray], translation: np.ndarray, rotation: np.ndarray, size: tuple[int, int]
) -> tuple[float, float, float]:
    """The mean and the largest displacement of visible points, and the largest relative change of depth of any plane."""
    height, width = size
    y, x = (
        part.ravel()
        for part in np.meshgrid(
            np.linspace(0, height - 1, LOOKS[0]), np.linspace(0, width - 1, LOOKS[1]), indexing="ij"
        )
    )
    points = np.stack([x, y, np.ones_like(x)])
    seen = np.argmax(np.array(depths) @ points, axis=0)
    displacements, change = np.zeros(x.size), 0.0
    for index, homography in enumerate(_homographies(camera, depths, translation, rotation)):
        for matrix in (homography, np.linalg.inv(homography)):
            depth = matrix[2] @ points
            change = max(change, float(np.abs(depth - 1).max()))
        moved_x, moved_y = transform(homography, x, y)
        np.copyto(displacements, np.hypot(moved_x - x, moved_y - y), where=seen == index)
    return float(displacements.mean()), float(displacements.max()), change
