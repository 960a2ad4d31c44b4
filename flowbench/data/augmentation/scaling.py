"""Random scaling of dense and of sparse ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from flowbench.data.augmentation.checks import check, check_probability, is_number, is_pixels, is_range
from flowbench.structures import FlowSample


@dataclass(frozen=True)
class RandomScale:
    """`resize` by 2^s, s uniform in `scale`, and each axis by a further 2^t, t uniform in [-stretch, stretch].

    Factors are raised until the crop and `margin` pixels fit, and an image that is smaller than the crop is always scaled.

    Args:
        scale: range of s.
        probability: of any scaling.
        stretch: largest |t|.
        stretch_probability: that the axes are stretched.
        margin: pixels that fit besides the crop.
        crop: (height, width) of the samples; None for the schedule's.
        sparse: `resize_sparse` instead.
    """

    scale: Sequence[float]
    probability: float = 0.8
    stretch: float = 0.2
    stretch_probability: float = 0.8
    margin: int = 8
    crop: Sequence[int] | None = None
    sparse: bool = False

    def __post_init__(self) -> None:
        check(is_range(self.scale), self, "scale", "two exponents of 2, the lower one first")
        check_probability(self, "probability", "stretch_probability")
        check(is_number(self.stretch) and self.stretch >= 0, self, "stretch", "an exponent of 2, 0 for none")
        check(type(self.margin) is int and self.margin >= 0, self, "margin", "whole pixels, not negative")
        check(self.crop is None or is_pixels(self.crop, least=1), self, "crop", "[height, width] in pixels, or null")

    def for_crop(self, size: Sequence[int]) -> RandomScale:
        return self if self.crop is not None else replace(self, crop=tuple(size))

    def __call__(self, sample: FlowSample, generator: np.random.Generator) -> FlowSample:
        size = np.array(sample.flow.shape[:2])
        factors = np.maximum(self._draw(generator), self._least(size))
        if generator.random() >= self.probability and not self._is_too_small(size):
            return sample
        height, width = (int(side) for side in np.maximum(np.rint(factors * size), 1))
        return (resize_sparse if self.sparse else resize)(sample, (height, width))

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        """Factors of (height, width)."""
        lowest, highest = self.scale
        exponents = np.full(2, generator.uniform(lowest, highest))
        if generator.random() < self.stretch_probability:
            exponents += generator.uniform(-self.stretch, self.stretch, size=2)
        return 2**exponents

    def _least(self, size: np.ndarray) -> float:
        return 0.0 if self.crop is None else ((np.array(self.crop) + self.margin) / size).max()

    def _is_too_small(self, size: np.ndarray) -> bool:
        return self.crop is not None and bool((size < self.crop).any())


def resize(sample: FlowSample, size: tuple[int, int]) -> FlowSample:
    """The sample at size = (height, width): images and flow interpolated linearly, flow in the new pixels.

    A pixel is valid where all pixels that its flow was interpolated from are, and occluded where more than half of them
    are, by their weights. Flow that is not valid may be anything and is 0 afterwards.
    """
    if sample.valid.all():
        flow, valid = _resized(sample.flow, size), np.ones(size, bool)
    else:
        flow = _resized(np.where(sample.valid[..., None], sample.flow, np.float32(0)), size)
        valid = _share(~sample.valid, size) == 0
        flow[~valid] = 0
    return replace(
        _with_resized_images(sample, size),
        flow=cv2.transform(flow, np.diag(_factors_of_x_and_y(sample, size))),
        valid=valid,
        occluded=None if sample.occluded is None else _share(sample.occluded, size) > 0.5,
    )


def resize_sparse(sample: FlowSample, size: tuple[int, int]) -> FlowSample:
    """The sample at size = (height, width): images interpolated linearly; ground truth is never blended.

    A valid pixel's flow, in the new pixels, and occlusion go to the pixel nearest to where it now lies; all others are
    invalid. Where two meet, the one further down, or else further right, stays. Pixels lie where interpolation puts
    them: x moves to (x + 1/2) f - 1/2. Published code moves it to x f, half a pixel off at twice the size, and loses
    row and column 0.
    """
    y, x = np.nonzero(sample.valid)
    of_x, of_y = _factors_of_x_and_y(sample, size)
    target = _nearest(y, of_y), _nearest(x, of_x)
    flow = np.zeros((*size, 2), np.float32)
    flow[target] = sample.flow[y, x] * np.array([of_x, of_y], np.float32)
    return replace(
        _with_resized_images(sample, size),
        flow=flow,
        valid=_scattered(np.ones(len(x), bool), target, size),
        occluded=None if sample.occluded is None else _scattered(sample.occluded[y, x], target, size),
    )


def _factors_of_x_and_y(sample: FlowSample, size: tuple[int, int]) -> tuple[float, float]:
    height, width = sample.flow.shape[:2]
    return size[1] / width, size[0] / height


def _with_resized_images(sample: FlowSample, size: tuple[int, int]) -> FlowSample:
    return replace(sample, image1=_resized(sample.image1, size), image2=_resized(sample.image2, size))


def _resized(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(array, size[::-1], interpolation=cv2.INTER_LINEAR)


def _share(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32: the weight of the mask's pixels in each new one."""
    return _resized(mask.astype(np.float32), size)


def _nearest(index: np.ndarray, factor: float) -> np.ndarray:
    return np.rint((index + 0.5) * factor - 0.5).astype(np.intp)


def _scattered(values: np.ndarray, target: tuple[np.ndarray, np.ndarray], size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[target] = values
    return mask
