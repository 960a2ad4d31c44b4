"""Effects of what a camera does to an image before it is stored: levels, sharpening, JPEG compression.

All are nearly alike in image1 and image2, as in two frames of one video.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.effect import Effect, Pair, Range

# Percentiles are taken over every 4th pixel in both directions.
SAMPLED = 4
# A narrower range of tones would be stretched into noise, pixels at a time.
NARROWEST_RANGE = 48
# A smaller blur would sharpen nothing.
LEAST_SIGMA = 0.5


@dataclass(frozen=True)
class Levels(Effect):
    """Tones are stretched to black and white, and the middle ones moved by a power.

    Args:
        probability: see `Effect`.
        black: the share of values that become 0.
        white: the share of values that become 255.
        gamma: the power; above 1 darkens.
        drift: difference of gain and power between the two images.
    """

    probability: float = 0.7
    black: Range = (0.0, 0.12)
    white: Range = (0.0, 0.04)
    gamma: Range = (0.8, 1.6)
    drift: Range = (0.0, 0.03)

    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        shares = rng.uniform(*self.black), 1 - rng.uniform(*self.white)
        low, high = np.quantile(pair[0][::SAMPLED, ::SAMPLED], shares)
        middle, half = (low + high) / 2, max(high - low, NARROWEST_RANGE) / 2
        gamma, drift = rng.uniform(*self.gamma), rng.uniform(*self.drift)
        gain2, gamma2 = 1 + drift * rng.uniform(-1, 1), gamma * (1 + drift * rng.uniform(-1, 1))
        tones = np.clip((np.arange(256) - middle + half) / (2 * half), 0, 1)
        curves = (tones**gamma, np.clip(gain2 * tones**gamma2, 0, 1))
        image1, image2 = (cv2.LUT(image, np.round(255 * curve).astype(np.uint8)) for image, curve in zip(pair, curves))
        return image1, image2


@dataclass(frozen=True)
class Sharpen(Effect):
    """Unsharp masking: the detail that a blur removes is added once more.

    Args:
        probability: see `Effect`.
        amount: factor of the detail that is added.
        sigma: of the blur, in pixels.
    """

    probability: float = 0.5
    amount: Range = (0.3, 1.5)
    sigma: Range = (0.6, 1.2)

    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        amount, sigma = rng.uniform(*self.amount), max(rng.uniform(*self.sigma) * scale, LEAST_SIGMA)
        amounts = amount, amount * rng.uniform(0.9, 1.1)
        image1, image2 = (_sharpened(image, strength, sigma) for image, strength in zip(pair, amounts))
        return image1, image2


@dataclass(frozen=True)
class Jpeg(Effect):
    """Both images are compressed as JPEG files of the same quality.

    quality: from 0 to 100, as OpenCV and libjpeg count.
    """

    probability: float = 0.2
    quality: Range = (60, 95)

    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        quality = round(rng.uniform(*self.quality))
        image1, image2 = (_compressed(image, quality) for image in pair)
        return image1, image2


def _sharpened(image: np.ndarray, amount: float, sigma: float) -> np.ndarray:
    return cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (0, 0), sigma), -amount, 0)


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    # The codec expects BGR; RGB would be stored in colours that it treats otherwise.
    _, file = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(file, cv2.IMREAD_COLOR)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)  # type: ignore[arg-type]  # None stands for a damaged file
