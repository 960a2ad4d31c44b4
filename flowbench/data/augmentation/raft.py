"""RAFT's training augmentation (arXiv 2003.12039, supplementary material), which DEQ-Flow and many others share.

For dense ground truth and for sparse ground truth, in the published order. The crop takes its size from the schedule:

    for_crop(dense_augmentations(scale=(-0.1, 1.0)), (368, 496))
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from flowbench.data.augmentation.base import Augmentation, RandomCrop
from flowbench.data.augmentation.geometric import RandomFlip
from flowbench.data.augmentation.photometric import ColourJitter, Eraser
from flowbench.data.augmentation.scaling import RandomScale


def dense_augmentations(
    *, scale: Sequence[float], horizontal: float = 0.5, vertical: float = 0.1
) -> list[Augmentation]:
    """For FlyingChairs, FlyingThings3D and Sintel.

    Args:
        scale: range of exponents of 2.
        horizontal: probability of a horizontal flip.
        vertical: probability of a vertical flip."""
    return [
        ColourJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.5 / math.pi, asymmetric=0.2),
        Eraser(probability=0.5, boxes=(1, 2), side=(50, 100)),
        RandomScale(scale=scale, probability=0.8, stretch=0.2, stretch_probability=0.8, margin=8),
        RandomFlip(horizontal=horizontal, vertical=vertical),
        RandomCrop(),
    ]


def sparse_augmentations(*, scale: Sequence[float], horizontal: float = 0.5) -> list[Augmentation]:
    """For KITTI and HD1K: weaker colour changes, the same for both images; no stretch; no vertical flip; and crops that
    favour the lower edge and the sides.

    Args:
        scale: range of exponents of 2.
        horizontal: probability of a flip."""
    return [
        ColourJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.3 / math.pi),
        Eraser(probability=0.5, boxes=(1, 2), side=(50, 100)),
        RandomScale(scale=scale, probability=0.8, stretch=0.0, margin=1, sparse=True),
        RandomFlip(horizontal=horizontal, vertical=0.0),
        RandomCrop(margin=(20, 50)),
    ]
