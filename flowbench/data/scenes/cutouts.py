"""Cut-outs: images with an alpha channel, as layers with that outline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.images import list_images, read_shrunk
from flowbench.data.scenes.shapes import MARGIN
from flowbench.errors import FlowBenchError

# Cut-outs are shrunk once, when they are read, and kept: 512 of them take at most 300 MB per process.
LONGEST_SIDE = 384
KEPT = 512
# Half-transparent parts would show two motions at once: alpha is made steeper about its middle.
STEEPNESS = 3
# Shares of the cut-outs that are mirrored, and that change their colours; the hue by at most half the colour circle (OpenCV
# counts to 180).
MIRRORED_SHARE = 0.5
RECOLOURED_SHARE = 0.6
LARGEST_HUE_SHIFT = 90


def list_cutouts(cutouts: str | Sequence[str]) -> tuple[str, ...]:
    """The files that a glob matches, or those of a list, sorted.

    Raises FlowBenchError where there are none.
    """
    return list_images(cutouts, "cutouts", "/data/cutouts/**/*.png")


def draw_cutout(rng: Generator, paths: Sequence[str], radius: float) -> np.ndarray:
    """A random cut-out, at times mirrored, with a transparent border: (h, w, 4) uint8 RGBA.

    Args:
        rng: draws it.
        paths: files of cut-outs.
        radius: of the circle that it just fits into, pixels.
    """
    cutout = read_cutout(paths[int(rng.integers(len(paths)))])
    height, width = cutout.shape[:2]
    zoom = 2 * radius / math.hypot(height, width)
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    resized = cv2.resize(cutout, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    if rng.random() < MIRRORED_SHARE:
        resized = cv2.flip(resized, 1)
    framed = cv2.copyMakeBorder(resized, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
    inside = slice(MARGIN, -MARGIN)
    framed[..., 3] = 0
    framed[inside, inside, 3] = resized[..., 3]
    return framed


def recoloured(texture: np.ndarray, rng: Generator) -> np.ndarray:
    """The texture under another light, and at times in another hue: (h, w, 3) uint8 RGB."""
    if rng.random() >= RECOLOURED_SHARE:
        return texture
    gamma, gains = rng.uniform(0.6, 1.7), rng.uniform(0.8, 1.2, 3)
    ramp = (np.arange(256) / 255) ** gamma
    curves = np.clip(255 * ramp[:, None] * gains, 0, 255).astype(np.uint8)
    hsv = cv2.cvtColor(cv2.LUT(texture, curves[None]), cv2.COLOR_RGB2HSV)
    # OpenCV counts hues to 180.
    hsv[..., 0] = (hsv[..., 0].astype(np.uint16) + int(rng.triangular(0, 0, LARGEST_HUE_SHIFT))) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


@lru_cache(maxsize=KEPT)
def read_cutout(path: str) -> np.ndarray:
    """A cut-out, at most `LONGEST_SIDE` pixels long, without empty rims: (h, w, 4) uint8 RGBA.

    Around the outline, its colours go on outside of it.

    Raises FlowBenchError where the file is not an image with an alpha channel, or all of it is transparent.
    """
    image = read_shrunk(path, LONGEST_SIDE, cv2.IMREAD_UNCHANGED)
    if image is None or image.shape[2] != 4:
        raise FlowBenchError(f"{path} is not an 8-bit image with an alpha channel: let cutouts name only such files.")
    alpha = np.clip((image[..., 3].astype(np.float32) - 127.5) * STEEPNESS + 127.5, 0, 255).astype(np.uint8)
    if not (alpha > 127).any():
        raise FlowBenchError(f"{path} is transparent all over: let cutouts name images that show something.")
    rows, columns = np.flatnonzero((alpha > 127).any(1)), np.flatnonzero((alpha > 127).any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    cutout = np.dstack([_continued(image[..., :3][box], alpha[box] > 127), alpha[box]])
    cutout.setflags(write=False)
    return cutout


def _continued(colours: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Colours in which every unknown pixel takes that of the nearest known one."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros((labels.max() + 1, 3), np.uint8)
    of_label[labels[known]] = colours[known]
    return of_label[labels]
