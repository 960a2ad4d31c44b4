"""What stands before the background: shapes, cut-outs, thin structures, alone or in groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

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
# Cut-outs that have another surface than their own.
SILHOUETTE_SHARE = 0.15
# Things that have an upper side stand on it, give or take this angle; the others lie at any.
UPRIGHT_SHARE = 0.75
LEANING = 0.2
# Wires reach further than balls: the radius of thin things over that of others.
REACH_OF_THIN = 2.0
PLAIN_THIN_SHARE = 0.6

Carrier = Callable[[np.ndarray], Motion]
"""The motion of the background at an (x, y) position, with which things move."""


@dataclass(frozen=True, eq=False)
class _Place:
    """A circle, and the motion of what lies within."""

    position: np.ndarray
    radius: float
    motion: Motion


@dataclass(frozen=True, eq=False)
class _Outline:
    """mask: as that of a Layer. centre: (x, y) on it. texture: None where any will do."""

    mask: np.ndarray
    centre: np.ndarray
    upright: bool = False
    texture: np.ndarray | None = None


def draw_radii(settings: SceneSettings, rng: Generator) -> list[float]:
    """How large things are, in pixels, from back to front."""
    fewest, most = settings.layers
    radii = np.exp(rng.uniform(*np.log(RADII), int(rng.integers(fewest, most + 1))))
    # Large things tend to be far from the front, or they would hide the rest.
    radii = radii[np.argsort(-radii * rng.uniform(0.5, 1.5, radii.size))]
    return (radii * settings.scale * REFERENCE_SIZE[0]).tolist()


def draw_things(
    settings: SceneSettings, radii: Sequence[float], carrier: Carrier, rng: Generator, texture_rng: Generator
) -> list[Layer]:
    """A layer for each radius; textures come from `texture_rng`, all else from `rng`."""
    motions = len(radii) if settings.motions is None else int(rng.integers(settings.motions[0], settings.motions[1] + 1))
    layers, places = [], []
    for radius in radii:
        whole = places[rng.integers(motions)] if len(places) == motions else None
        layer, place = _draw_thing(settings, radius, whole, carrier, rng, texture_rng)
        layers.append(layer)
        if whole is None:
            places.append(place)
    return layers


def _draw_thing(
    settings: SceneSettings, radius: float, whole: _Place | None, carrier: Carrier, rng: Generator, texture_rng: Generator
) -> tuple[Layer, _Place]:
    """A thing with a motion of its own, or a part of a group."""
    if whole is not None:
        radius = min(radius, LARGEST_PART * whole.radius)
    outline, radius = _draw_outline(settings, radius, whole is not None, rng, texture_rng)
    height, width = settings.size
    if whole is None:
        position = rng.uniform(-0.05, 1.05, 2) * (width, height)
    else:
        position = whole.position + direction(rng) * rng.uniform(0, whole.radius - radius)
    leans = outline.upright and rng.random() < UPRIGHT_SHARE
    canvas = placement(rng.normal(0, LEANING) if leans else rng.uniform(0, 2 * np.pi), position, outline.centre)
    if whole is None:
        motion = draw_layer_motion(rng, position, radius, carrier(position), settings.limit)
    else:
        motion = whole.motion
    texture = outline.texture
    if texture is None:
        texture = draw_surface(settings, texture_rng, outline.mask.shape)
    return Layer(texture, outline.mask, canvas, motion), _Place(position, radius, motion)


def _draw_outline(
    settings: SceneSettings, radius: float, is_part: bool, rng: Generator, texture_rng: Generator
) -> tuple[_Outline, float]:
    """An outline within the returned radius, in pixels."""
    shares = settings.shares
    cutouts = shares.cutouts if settings.cutouts else 0.0
    kind = rng.random() if cutouts or shares.thin else 1.0
    if kind < cutouts:
        return _cutout(settings, radius, rng, texture_rng), radius
    if kind < cutouts + shares.thin:
        radius = radius if is_part else REACH_OF_THIN * radius
        mask = draw_thin(rng, radius)
        texture = plain(texture_rng, mask.shape) if texture_rng.random() < PLAIN_THIN_SHARE else None
        return _Outline(mask, _middle(mask), upright=True, texture=texture), radius
    return _Outline(*rasterise(draw_outlines(rng, radius), radius)), radius


def _cutout(settings: SceneSettings, radius: float, rng: Generator, texture_rng: Generator) -> _Outline:
    picture = draw_cutout(rng, settings.cutouts, radius)
    mask, colours = np.ascontiguousarray(picture[..., 3]), np.ascontiguousarray(picture[..., :3])
    is_silhouette = texture_rng.random() < SILHOUETTE_SHARE
    texture = None if is_silhouette else recoloured(colours, texture_rng)
    return _Outline(mask, _middle(mask), upright=True, texture=texture)


def _middle(mask: np.ndarray) -> np.ndarray:
    return (np.array(mask.shape[::-1]) - 1) / 2
