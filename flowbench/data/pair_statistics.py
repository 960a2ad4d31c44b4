"""Statistics of pairs: tones, spectrum, motion, occlusion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import cv2
import numpy as np

from flowbench.structures import FlowSample

# Grey values below it are dark.
DARK = 32
# Pixels that move further are counted.
FAR = (16, 32)
# From details of 2 to 4 pixels up to those of 64 to 128.
OCTAVES = 6


def pair_statistics(samples: Iterable[FlowSample], size: Sequence[int] | None = None) -> dict[str, float]:
    """Means over pairs, each with the same weight; NaN where no pair has the necessary pixels.

    size: (height, width) to which pairs and their flow are resized; None for no resizing.
    """
    rows = [_of_pair(sample if size is None else resized(sample, size)) for sample in samples]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _mean([row.get(name, np.nan) for row in rows]) for name in names}


def resized(sample: FlowSample, size: Sequence[int]) -> FlowSample:
    """A pair at another (height, width): images by area, flow and masks by the nearest pixel, flow in its new pixels."""
    height, width = size
    rows, columns = sample.flow.shape[:2]

    def nearest(array: np.ndarray) -> np.ndarray:
        return cv2.resize(array.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)

    return FlowSample(
        image1=cv2.resize(sample.image1, (width, height), interpolation=cv2.INTER_AREA),
        image2=cv2.resize(sample.image2, (width, height), interpolation=cv2.INTER_AREA),
        flow=nearest(sample.flow) * np.array([width / columns, height / rows], np.float32),
        valid=nearest(sample.valid) > 0,
        occluded=None if sample.occluded is None else nearest(sample.occluded) > 0,
        key=sample.key,
    )


def octave_powers(grey: np.ndarray) -> list[float]:
    """The contribution of each octave of frequencies to the variance of an (H, W) image, the finest first.

    The first has periods of 2 to 4 pixels, the next of 4 to 8, and so on. A Hann window removes the jumps at the image's
    borders.
    """
    height, width = grey.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    centred = grey - np.average(grey, weights=window)
    power = np.abs(np.fft.fft2(centred * window)) ** 2 / (grey.size * (window**2).sum())
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    edges = 0.5 ** np.arange(1, OCTAVES + 2)
    return [float(power[(frequency > low) & (frequency <= high)].sum()) for high, low in pairwise(edges)]


def _of_pair(sample: FlowSample) -> dict[str, float]:
    grey = cv2.cvtColor(sample.image1, cv2.COLOR_RGB2GRAY).astype(np.float64)
    height, width = grey.shape
    speed = np.hypot(sample.flow[..., 0], sample.flow[..., 1])
    y, x = np.mgrid[:height, :width]
    x, y = x + sample.flow[..., 0], y + sample.flow[..., 1]
    leaves = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
    row = {"contrast": float(grey.std()), f"darker than {DARK} (%)": 100 * float(np.mean(grey < DARK))}
    for octave, power in enumerate(octave_powers(grey), start=1):
        row[f"power, {2**octave} to {2 ** (octave + 1)} px"] = power
    row["mean flow (px)"] = _mean(speed[sample.valid])
    for distance in FAR:
        row[f"moves > {distance} px (%)"] = 100 * _mean(speed[sample.valid] > distance)
    row["leaves the picture (%)"] = 100 * _mean(leaves[sample.valid])
    if sample.occluded is not None:
        row["occluded (%)"] = 100 * _mean(sample.occluded[sample.valid])
    return row


def _mean(values: Sequence[float] | np.ndarray) -> float:
    """Of those that are known."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else float("nan")
