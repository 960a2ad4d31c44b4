"""Whether a sample's flow leads from picture to picture."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from flowbench.structures import FlowSample


def warping_error(sample: FlowSample, *, edge: int = 3, times: float = 1.0) -> float:
    """Mean grey levels between image 1 and image 2 where the flow finds it, at valid pixels that are seen in both.

    edge: pixels that are left out along what is occluded and along the borders. times: a factor that makes the flow wrong.
    """
    height, width = sample.flow.shape[:2]
    tested = sample.valid & ~ndimage.binary_dilation(sample.occluded, iterations=edge)
    y, x = np.nonzero(tested)
    u, v = sample.flow[tested].T
    inside = (x + u >= edge) & (x + u < width - edge) & (y + v >= edge) & (y + v < height - edge)
    inside &= (x >= edge) & (x < width - edge) & (y >= edge) & (y < height - edge)
    place = np.stack([y + times * v, x + times * u])[:, inside]
    channels = np.moveaxis(sample.image2.astype(np.float32), -1, 0)
    found = np.stack([ndimage.map_coordinates(channel, place, order=1, mode="nearest") for channel in channels], -1)
    return float(np.abs(found - sample.image1[y[inside], x[inside]]).mean())
