"""Effects of the camera: motion blur, defocus, noise, gamma."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from scipy.special import ndtri

from flowbench.data.scenes.effect import Effect, Pair, Range

# The middle of each 256th of the normal distribution: random bytes read through this table are Gaussian noise.
NORMAL_QUANTILES = ndtri((np.arange(256) + 0.5) / 256).astype(np.float32)
# Blur below this many pixels changes nothing that a byte can show.
LEAST_BLUR = 0.15


@dataclass(frozen=True)
class MotionBlur(Effect):
    """Camera shake during the exposure, different in image1 and image2.

    length: of the path that a point takes, in pixels.
    """

    probability: float = 0.15
    length: Range = (2.0, 9.0)

    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        image1, image2 = (self._blurred(image, rng, scale) for image in pair)
        return image1, image2

    def _blurred(self, image: np.ndarray, rng: Generator, scale: float) -> np.ndarray:
        length, angle = rng.uniform(*self.length) * scale, rng.uniform(0, np.pi)
        kernel = _line_kernel(length, angle)
        return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)


@dataclass(frozen=True)
class Defocus(Effect):
    """A blur out of focus, of different strength in image1 and image2.

    sigma: of the blur, in pixels.
    """

    probability: float = 0.15
    sigma: Range = (0.3, 1.8)

    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        sigmas = [max(rng.uniform(*self.sigma) * scale, LEAST_BLUR) for _ in pair]
        image1, image2 = (cv2.GaussianBlur(image, (0, 0), sigma) for image, sigma in zip(pair, sigmas))
        return image1, image2


@dataclass(frozen=True)
class Noise(Effect):
    """The sensor adds Gaussian noise, independent for every value.

    sigma: standard deviation in steps of 1/255, the same for both images.
    """

    probability: float = 0.5
    sigma: Range = (0.5, 5.0)

    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        table = NORMAL_QUANTILES * np.float32(rng.uniform(*self.sigma))
        image1, image2 = (cv2.add(image, cv2.LUT(_bytes(rng, image.shape), table), dtype=cv2.CV_8U) for image in pair)
        return image1, image2


@dataclass(frozen=True)
class Gamma(Effect):
    """The camera's response is not linear: values become their power, the same in both images.

    exponent: of values in [0, 1]; below 1 brightens.
    """

    probability: float = 0.3
    exponent: Range = (0.7, 1.4)

    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        exponent = rng.uniform(*self.exponent)
        curve = np.round(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
        return cv2.LUT(pair[0], curve), cv2.LUT(pair[1], curve)


def _bytes(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(rng.bytes(int(np.prod(shape))), np.uint8).reshape(shape)


def _line_kernel(length: float, angle: float) -> np.ndarray:
    """A line of a pixel's width through the middle of an odd square; its values sum to 1."""
    reach = int(np.ceil(length / 2))
    offsets = np.arange(-reach, reach + 1)
    along = offsets * np.cos(angle) + offsets[:, None] * np.sin(angle)
    across = offsets[:, None] * np.cos(angle) - offsets * np.sin(angle)
    inside = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return inside / inside.sum()
