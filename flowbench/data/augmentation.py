"""Changes to a sample that training draws anew each time. Each is a function of (sample, random generator)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.structures import FlowSample

Augmentation = Callable[[FlowSample, np.random.Generator], FlowSample]


@dataclass(frozen=True)
class RandomCrop:
    """Cuts out size = (height, width) pixels, at a place drawn evenly."""

    size: tuple[int, int]

    def __call__(self, sample: FlowSample, generator: np.random.Generator) -> FlowSample:
        height, width = sample.flow.shape[:2]
        crop_height, crop_width = self.size
        if crop_height > height or crop_width > width:
            raise FlowBenchError(
                f"The crop of {crop_height}x{crop_width} (height x width) is larger than sample {sample.key}, which "
                f"after data.augmentations is {height}x{width}: make schedule.crop smaller."
            )
        top = generator.integers(0, height - crop_height + 1)
        left = generator.integers(0, width - crop_width + 1)
        place = (slice(top, top + crop_height), slice(left, left + crop_width))
        return FlowSample(
            image1=sample.image1[place],
            image2=sample.image2[place],
            flow=sample.flow[place],
            valid=sample.valid[place],
            occluded=None if sample.occluded is None else sample.occluded[place],
            key=sample.key,
        )


@dataclass(frozen=True)
class ImageNoise:
    """Adds Gaussian noise to both pictures, of a standard deviation drawn evenly from 0 to max_std (grey levels of 255)."""

    max_std: float = 5.0

    def __call__(self, sample: FlowSample, generator: np.random.Generator) -> FlowSample:
        std = generator.uniform(0, self.max_std)
        return replace(
            sample, image1=_noisy(sample.image1, std, generator), image2=_noisy(sample.image2, std, generator)
        )


def _noisy(image: np.ndarray, std: float, generator: np.random.Generator) -> np.ndarray:
    noise = generator.standard_normal(image.shape, dtype=np.float32) * np.float32(std)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
