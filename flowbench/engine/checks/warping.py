"""Comparison of a pair's images after warping by the ground truth: whether the flow belongs to them at all."""

from __future__ import annotations

import cv2
import numpy as np

from flowbench.structures import FlowSample

# Pixels. A shorter motion changes too little to be compared.
_LEAST_MOTION = 1.0
_LEAST_MOVING_PIXELS, _LEAST_MOVING_SHARE = 50, 0.05
# Grey levels of 255. Where the images differ less as they are, there is no texture to compare.
_LEAST_DIFFERENCE = 1.0
# Pixels. Finer structure is noise, coarser structure may be a change of light.
_FINEST, _COARSEST = 1.0, 25


def difference_after_warping(sample: FlowSample) -> float | None:
    """The mean difference of image1 and the warped image2, as a share of that of image1 and image2 as they are.

    It is taken over the pixels that move by more than a pixel to a point inside image2 and are not known to be occluded, from
    grey images without noise and without slow changes of brightness. Right flow leaves 0.15 to 0.6, wrong flow 0.9 to 2.
    None where too few pixels move, or the images have too little texture.
    """
    height, width = sample.valid.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    flow = np.where(sample.valid[..., None], sample.flow, np.float32(0))
    there_x, there_y = x + flow[..., 0], y + flow[..., 1]
    counted = sample.valid & (there_x >= 0) & (there_x <= width - 1) & (there_y >= 0) & (there_y <= height - 1)
    if sample.occluded is not None:
        counted &= ~sample.occluded
    moving = counted & (np.hypot(flow[..., 0], flow[..., 1]) > _LEAST_MOTION)
    if np.count_nonzero(moving) < max(_LEAST_MOVING_PIXELS, _LEAST_MOVING_SHARE * np.count_nonzero(sample.valid)):
        return None
    structure1, structure2 = _structure(sample.image1), _structure(sample.image2)
    warped = cv2.remap(structure2, there_x, there_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    still = np.abs(structure1 - structure2)[moving].mean()
    if still < _LEAST_DIFFERENCE:
        return None
    return float(np.abs(structure1 - warped)[moving].mean() / still)


def _structure(image: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return cv2.GaussianBlur(grey, (0, 0), _FINEST) - cv2.blur(grey, (_COARSEST, _COARSEST))
