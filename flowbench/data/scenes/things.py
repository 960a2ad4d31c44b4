"""Things before the background: shapes, cut-outs, thin structures, alone or in groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.backgrounds import Carrier
from flowbench.data.scenes.cutouts import draw_cutout, recoloured
from flowbench.data.scenes.draws import direction
from flowbench.data.scenes.kinematics import draw_layer_motion
from flowbench.data.scenes.layers import Layer, placement
from flowbench.data.scenes.motion import Motion
from flowbench.data.scenes.settings import REFERENCE_SIZE, SceneSettings
from flowbench.data.scenes.shapes import draw_outlines, rasterise
from flowbench.data.scenes.surfaces import draw_surface, plain
from flowbench.data.scenes.thin import draw_thin

# Radii of layers over the images' size: from a ball to a bus.
RADII = (0.06, 0.42)
# A part of a group is at most this large, over the radius of the thing whose motion it shares.
LARGEST_PART = 0.7
# Share of the cut-outs that have another surface than their own.
SILHOUETTE_SHARE = 0.15
# Share of the things with an upper side that stand upright, and their largest angle from it in radians; the others are turned
# by any angle.
UPRIGHT_SHARE = 0.75
LEANING = 0.2
# The radius of thin things over that of others: a wire is longer than a ball is wide.
REACH_OF_THIN = 2.0
# Share of the thin things in one colour.
PLAIN_THIN_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class _Group:
    """A thing and its parts: a circle in frame 1, and the motion of everything within it."""

    position: np.ndarray
    radius: float
    motion: Motion


@dataclass(frozen=True, eq=False)
class _Outline:
    """The outline of a thing.

    Args:
        mask: see Layer.
        centre: (x, y) on the mask, which lies within `radius` pixels of it.
        radius: pixels.
        upright: whether it has an upper side.
        texture: its own, (h, w, 3) uint8 RGB; None where any texture fits.
    """

    mask: np.ndarray
    centre: np.ndarray
    radius: float
    upright: bool = False
    texture: np.ndarray | None = None


def draw_radii(settings: SceneSettings, rng: Generator) -> list[float]:
    """Radii of things in pixels, from back to front."""
    fewest, most = settings.layers
    smallest, largest = np.log(RADII)
    radii = np.exp(rng.uniform(smallest, largest, int(rng.integers(fewest, most + 1))))
    # Large things tend to be far from the front, or they would hide the rest.
    radii = radii[np.argsort(-radii * rng.uniform(0.5, 1.5, radii.size))]
    return (radii * settings.scale * REFERENCE_SIZE[0]).tolist()


def draw_things(
    settings: SceneSettings, radii: Sequence[float], carrier: Carrier, rng: Generator, texture_rng: Generator
) -> list[Layer]:
    """A layer per radius.

    Args:
        settings: of the scene.
        radii: pixels, from back to front.
        carrier: the background's motion, with which things move.
        rng: draws outlines, positions and motions.
        texture_rng: draws textures.
    """
    motions = (
        len(radii) if settings.motions is None else int(rng.integers(settings.motions[0], settings.motions[1] + 1))
    )
    layers: list[Layer] = []
    groups: list[_Group] = []
    for radius in radii:
        group = None if len(groups) < motions else groups[rng.integers(motions)]
        largest = math.inf if group is None else LARGEST_PART * group.radius
        outline = _draw_outline(settings, radius, largest, rng, texture_rng)
        position = _draw_position(settings, outline, group, rng)
        canvas = placement(_draw_angle(outline, rng), position, outline.centre)
        if group is None:
            motion = draw_layer_motion(rng, position, outline.radius, carrier(position), settings.limit)
            group = _Group(position, outline.radius, motion)
            groups.append(group)
        texture = outline.texture
        if texture is None:
            texture = draw_surface(settings, texture_rng, outline.mask.shape)
        layers.append(Layer(texture, outline.mask, canvas, group.motion))
    return layers


def _draw_outline(
    settings: SceneSettings, radius: float, largest: float, rng: Generator, texture_rng: Generator
) -> _Outline:
    cutouts = settings.shares.cutouts if settings.cutouts else 0.0
    thin = settings.shares.thin
    kind = rng.random() if cutouts or thin else 1.0
    if kind < cutouts:
        return _cutout(settings, min(radius, largest), rng, texture_rng)
    if kind < cutouts + thin:
        return _thin(min(REACH_OF_THIN * radius, largest), rng, texture_rng)
    radius = min(radius, largest)
    return _Outline(*rasterise(draw_outlines(rng, radius), radius), radius)


def _cutout(settings: SceneSettings, radius: float, rng: Generator, texture_rng: Generator) -> _Outline:
    cutout = draw_cutout(rng, settings.cutouts, radius)
    mask, colours = np.ascontiguousarray(cutout[..., 3]), np.ascontiguousarray(cutout[..., :3])
    is_silhouette = texture_rng.random() < SILHOUETTE_SHARE
    texture = None if is_silhouette else recoloured(colours, texture_rng)
    return _Outline(mask, _middle(mask), radius, upright=True, texture=texture)


def _thin(radius: float, rng: Generator, texture_rng: Generator) -> _Outline:
    mask = draw_thin(rng, radius)
    texture = plain(texture_rng, mask.shape) if texture_rng.random() < PLAIN_THIN_SHARE else None
    return _Outline(mask, _middle(mask), radius, upright=True, texture=texture)


def _draw_position(settings: SceneSettings, outline: _Outline, group: _Group | None, rng: Generator) -> np.ndarray:
    """(x, y): anywhere in the image, or within the group."""
    if group is None:
        return rng.uniform(-0.05, 1.05, 2) * settings.size[::-1]
    return group.position + direction(rng) * rng.uniform(0, group.radius - outline.radius)


def _draw_angle(outline: _Outline, rng: Generator) -> float:
    if outline.upright and rng.random() < UPRIGHT_SHARE:
        return rng.normal(0, LEANING)
    return rng.uniform(0, 2 * np.pi)


def _middle(mask: np.ndarray) -> np.ndarray:
    return (np.array(mask.shape[::-1]) - 1) / 2
