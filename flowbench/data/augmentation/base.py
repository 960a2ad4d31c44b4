"""Changes to a sample that training draws anew each time. Each is a function of (sample, random generator)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from flowbench.data.augmentation.checks import check, is_pixels
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowSample

Augmentation = Callable[[FlowSample, np.random.Generator], FlowSample]


@runtime_checkable
class NeedsCrop(Protocol):
    """An augmentation that must know the crop of the samples, which the schedule has and a list of augmentations has not."""

    def for_crop(self, size: Sequence[int]) -> Augmentation:
        """The same for that crop, (height, width), unless it was given one of its own."""
        ...


def for_crop(augmentations: Sequence[Augmentation], size: Sequence[int] | None) -> list[Augmentation]:
    """The augmentations for training with that crop; size: (height, width), or None for uncropped images.

    Those that need the size get it, and a RandomCrop is added at the end where the list holds none.
    """
    if size is None:
        return list(augmentations)
    sized = [
        augmentation.for_crop(size) if isinstance(augmentation, NeedsCrop) else augmentation
        for augmentation in augmentations
    ]
    has_crop = any(isinstance(augmentation, RandomCrop) for augmentation in sized)
    return sized if has_crop else [*sized, RandomCrop(tuple(size))]


@dataclass(frozen=True)
class RandomCrop:
    """Cuts out size = (height, width) pixels, at a uniformly random position.

    Args:
        size: None for the schedule's crop, or uncropped images where the schedule has none.
        margin: (below, beside), pixels: positions are drawn up to so far beyond the lower edge and beyond both sides, and
            then moved into the image. So crops at these edges are more frequent, for data sets whose ground truth lies there.
    """

    size: Sequence[int] | None = None
    margin: Sequence[int] = (0, 0)

    def __post_init__(self) -> None:
        check(self.size is None or is_pixels(self.size, least=1), self, "size", "[height, width] in pixels, or null")
        check(is_pixels(self.margin), self, "margin", "[below, beside] in pixels, not negative")

    def for_crop(self, size: Sequence[int]) -> RandomCrop:
        return self if self.size is not None else replace(self, size=tuple(size))

    def __call__(self, sample: FlowSample, generator: np.random.Generator) -> FlowSample:
        if self.size is None:
            return sample
        height, width = sample.flow.shape[:2]
        crop_height, crop_width = self.size
        if crop_height > height or crop_width > width:
            raise FlowBenchError(
                f"The crop of {crop_height}x{crop_width} (height x width) is larger than sample {sample.key}, which "
                f"after its augmentations is {height}x{width}: a smaller one is needed."
            )
        below, beside = self.margin
        top = _position(0, height - crop_height, below, generator)
        left = _position(beside, width - crop_width, beside, generator)
        window = (slice(top, top + crop_height), slice(left, left + crop_width))
        return replace(
            sample,
            image1=sample.image1[window],
            image2=sample.image2[window],
            flow=sample.flow[window],
            valid=sample.valid[window],
            occluded=None if sample.occluded is None else sample.occluded[window],
        )


def _position(before: int, last: int, beyond: int, generator: np.random.Generator) -> int:
    """0 to last. The published margins exclude their end; without one, the last position must be possible, too."""
    return min(max(0, int(generator.integers(-before, last + max(1, beyond)))), last)


@dataclass(frozen=True)
class ImageNoise:
    """Adds Gaussian noise to both images, of a standard deviation drawn evenly from 0 to max_std (grey levels of 255)."""

    max_std: float = 5.0

    def __call__(self, sample: FlowSample, generator: np.random.Generator) -> FlowSample:
        std = generator.uniform(0, self.max_std)
        return replace(
            sample, image1=_noisy(sample.image1, std, generator), image2=_noisy(sample.image2, std, generator)
        )


def _noisy(image: np.ndarray, std: float, generator: np.random.Generator) -> np.ndarray:
    noise = generator.standard_normal(image.shape, dtype=np.float32) * np.float32(std)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
