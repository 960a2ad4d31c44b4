"""Effects of light and air: lighting change, shadow, fog."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.effect import Effect, Pair, Range
from flowbench.data.scenes.shapes import blob

# Shadows and fog are smooth: they are drawn on a grid this much coarser than the image.
COARSENESS = 8


@dataclass(frozen=True)
class Lighting(Effect):
    """The light on image2 differs from that on image1.

    Args:
        probability: see `Effect`.
        gain: factor on brightness.
        tint: a further factor for each colour.
        slope: growth of the gain from the middle to the border of the image, in a random direction.
    """

    probability: float = 0.5
    gain: Range = (0.75, 1.3)
    tint: Range = (0.95, 1.05)
    slope: Range = (0.0, 0.2)

    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        image1, image2 = pair
        colour = rng.uniform(*self.gain) * rng.uniform(*self.tint, 3)
        height, width = image2.shape[:2]
        angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(*self.slope)
        x = np.linspace(-slope, slope, width, dtype=np.float32) * np.float32(np.cos(angle))
        y = np.linspace(-slope, slope, height, dtype=np.float32) * np.float32(np.sin(angle))
        return image1, _multiplied(image2, 1 + x + y[:, None], colour)


@dataclass(frozen=True)
class Shadow(Effect):
    """A soft shadow lies on the scene, and moves on its own.

    Args:
        probability: see `Effect`.
        strength: the share of light that it takes.
        size: its radius over the image's.
        drift: its motion from image1 to image2, pixels.
    """

    probability: float = 0.3
    strength: Range = (0.2, 0.6)
    size: Range = (0.2, 0.7)
    drift: Range = (0.0, 40.0)

    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        height, width = pair[0].shape[:2]
        outline = blob(rng) * rng.uniform(*self.size) * min(height, width)
        position = rng.uniform(0, 1, 2) * (width, height)
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(*self.drift) * scale
        moved = position + distance * np.array([np.cos(angle), np.sin(angle)])
        strength = rng.uniform(*self.strength)
        lights = (1 - strength * _soft_mask(outline + centre, (height, width)) for centre in (position, moved))
        image1, image2 = (_multiplied(image, light, np.ones(3)) for image, light in zip(pair, lights))
        return image1, image2


@dataclass(frozen=True)
class Fog(Effect):
    """A bright haze in front of the scene, of uneven density, which does not move.

    Args:
        probability: see `Effect`.
        density: the share of light that comes from the haze.
        brightness: the haze's grey, as a share of white.
    """

    probability: float = 0.1
    density: Range = (0.15, 0.6)
    brightness: Range = (0.65, 0.95)

    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        height, width = pair[0].shape[:2]
        thickness = rng.uniform(*self.density) * rng.uniform(0.4, 1.0, (3, 4))
        haze = cv2.resize(thickness.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        white = np.full_like(pair[0], round(255 * rng.uniform(*self.brightness)))
        image1, image2 = (cv2.blendLinear(image, white, 1 - haze, haze) for image in pair)
        return image1, image2


def _multiplied(image: np.ndarray, light: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """An image times a light of (H, W) and a factor for each colour, rounded and clipped."""
    return cv2.multiply(image, cv2.merge([light * np.float32(factor) for factor in colour]), dtype=cv2.CV_8U)


def _soft_mask(outline: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An outline of (N, 2) pixels filled with 1, with a wide soft edge: (H, W) float32."""
    height, width = size
    coarse = np.zeros((-(-height // COARSENESS), -(-width // COARSENESS)), np.float32)
    cv2.fillPoly(coarse, [np.round(outline / COARSENESS).astype(np.int32)], 1.0)
    return cv2.resize(cv2.GaussianBlur(coarse, (5, 5), 0), (width, height), interpolation=cv2.INTER_LINEAR)
