"""Changes to the images alone: their colours, and boxes that hide part of image 2.

Flow and masks stay as they are. What a box hides is not marked as occluded: its flow is still to be learnt, from around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from flowbench.data.augmentation.checks import check, check_probability, is_number, is_pixels
from flowbench.structures import FlowSample

# ITU-R BT.601's luma.
_RGB_TO_GREY = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class ColourJitter:
    """Changes brightness, contrast, saturation and hue, in an order drawn anew, as torchvision's ColorJitter does.

    Grey levels are rounded and clipped after each of the four.

    Args:
        brightness: x; the factor is drawn uniformly from [max(0, 1 - x), 1 + x].
        contrast: as brightness.
        saturation: as brightness.
        hue: the shift is drawn uniformly from [-hue, hue], in colour circles; at most 0.5.
        asymmetric: the probability that each image has draws of its own; else both are changed alike.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    asymmetric: float = 0.0

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            value = getattr(self, name)
            check(is_number(value) and value >= 0, self, name, "a number from 0 (no change) up")
        check(is_number(self.hue) and 0 <= self.hue <= 0.5, self, "hue", "a share of the colour circle, 0 to 0.5")
        check_probability(self, "asymmetric")

    def __call__(self, sample: FlowSample, generator: np.random.Generator) -> FlowSample:
        if generator.random() < self.asymmetric:
            image1, image2 = (self._changed(image, generator) for image in (sample.image1, sample.image2))
        else:
            image1, image2 = np.split(self._changed(np.concatenate([sample.image1, sample.image2]), generator), 2)
        return replace(sample, image1=image1, image2=image2)

    def _changed(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        changes = [
            partial(change_brightness, factor=_factor(self.brightness, generator)),
            partial(change_contrast, factor=_factor(self.contrast, generator)),
            partial(change_saturation, factor=_factor(self.saturation, generator)),
            partial(shift_hue, shift=generator.uniform(-self.hue, self.hue)),
        ]
        for number in generator.permutation(len(changes)):
            image = changes[number](image)
        return image


def _factor(strength: float, generator: np.random.Generator) -> float:
    return generator.uniform(max(0.0, 1 - strength), 1 + strength)


def change_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a blend with black."""
    return _blend_with_level(image, factor, 0.0)


def change_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a blend with the image's mean grey."""
    return _blend_with_level(image, factor, float(_RGB_TO_GREY @ cv2.mean(image)[:3]))


def change_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a blend with the pixel's own grey."""
    return cv2.transform(image, factor * np.eye(3) + (1 - factor) * _RGB_TO_GREY)


def shift_hue(image: np.ndarray, shift: float) -> np.ndarray:
    """(H, W, 3) uint8 RGB: turned around the colour circle by `shift` circles, in steps of 1/256."""
    steps = round(256 * shift) % 256
    if steps == 0:
        return image
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(steps)  # 256 is the full circle: uint8 wraps where the circle closes
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def _blend_with_level(image: np.ndarray, factor: float, level: float) -> np.ndarray:
    return cv2.addWeighted(image, factor, image, 0.0, (1 - factor) * level)


@dataclass(frozen=True)
class Eraser:
    """Fills boxes of image 2 with its mean colour, as if something stood in front.

    A box begins at any pixel and is cut off where it leaves the image.

    Args:
        probability: of any boxes.
        boxes: their smallest and largest number.
        side: (low, high): heights and widths are drawn from low to high - 1 pixels.
    """

    probability: float = 0.5
    boxes: Sequence[int] = (1, 2)
    side: Sequence[int] = (50, 100)

    def __post_init__(self) -> None:
        check_probability(self, "probability")
        in_order = is_pixels(self.boxes) and self.boxes[0] <= self.boxes[1]
        check(in_order, self, "boxes", "[fewest, most], whole numbers")
        in_order = is_pixels(self.side, least=1) and self.side[0] < self.side[1]
        check(in_order, self, "side", "[from, below] in pixels, the lower one first")

    def __call__(self, sample: FlowSample, generator: np.random.Generator) -> FlowSample:
        if generator.random() >= self.probability:
            return sample
        image2 = sample.image2.copy()
        colour = np.rint(cv2.mean(image2)[:3])
        (fewest, most), (shortest, above) = self.boxes, self.side
        for _ in range(generator.integers(fewest, most + 1)):
            top, left = generator.integers(0, image2.shape[:2])
            height, width = generator.integers(shortest, above, size=2)
            image2[top : top + height, left : left + width] = colour
        return replace(sample, image2=image2)
