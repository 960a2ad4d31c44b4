"""Photographs as textures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.images import list_images, read_shrunk
from flowbench.errors import FlowBenchError

# Photographs are shrunk once, when they are read, and kept, also at a half and a quarter of that size: 512 of them take
# 620 MB per process at 640x480. Of more, the ones not used for longest are read again.
LONGEST_SIDE = 640
KEPT = 512
HALVINGS = 2
# Pixels of a photograph over pixels of a surface: below, a photograph would be enlarged.
LEAST_ZOOM = 0.75


def list_photographs(textures: str | Sequence[str]) -> tuple[str, ...]:
    """The files that a glob matches, or those of a list, sorted.

    Raises FlowBenchError where there are none.
    """
    return list_images(textures, "textures", "/data/photographs/**/*.jpg")


def draw_photograph(rng: Generator, paths: Sequence[str], size: tuple[int, int]) -> np.ndarray:
    """A random part of a random photograph, resized: (h, w, 3) uint8 RGB.

    It is hardly enlarged, which would blur it: one that is too small is continued mirrored.

    Args:
        rng: draws it.
        paths: files of photographs.
        size: (height, width) in pixels.
    """
    path = paths[int(rng.integers(len(paths)))]
    photograph = read_photograph(path, 0)
    height, width = size
    largest = min(photograph.shape[0] / height, photograph.shape[1] / width)
    zoom = max(largest * rng.uniform(0.4, 1.0), LEAST_ZOOM)
    # About as large as it is, it is taken as it is.
    zoom = 1.0 if zoom < 1 / LEAST_ZOOM else zoom
    # A smaller copy gives the same for less work.
    halvings = min(HALVINGS, int(math.log2(zoom)))
    photograph, zoom = read_photograph(path, halvings), zoom / 2**halvings
    crop_height, crop_width = max(1, round(height * zoom)), max(1, round(width * zoom))
    photograph = _continued(photograph, crop_height, crop_width)
    top = rng.integers(photograph.shape[0] - crop_height + 1)
    left = rng.integers(photograph.shape[1] - crop_width + 1)
    crop = photograph[top : top + crop_height, left : left + crop_width]
    return cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA) if zoom > 1 else crop.copy()


def _continued(photograph: np.ndarray, height: int, width: int) -> np.ndarray:
    """A photograph of at least that size: a smaller one is mirrored at its right and lower rim."""
    below, right = max(0, height - photograph.shape[0]), max(0, width - photograph.shape[1])
    if not below and not right:
        return photograph
    return cv2.copyMakeBorder(photograph, 0, below, 0, right, cv2.BORDER_REFLECT)


@lru_cache(maxsize=KEPT * (1 + HALVINGS))
def read_photograph(path: str, halvings: int) -> np.ndarray:
    """A photograph, at most `LONGEST_SIDE` pixels long and then halved so many times: (h, w, 3) uint8 RGB.

    Raises FlowBenchError where OpenCV cannot read the file.
    """
    if halvings:
        return cv2.resize(read_photograph(path, halvings - 1), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    image = read_shrunk(path, LONGEST_SIDE, cv2.IMREAD_COLOR)
    if image is None:
        raise FlowBenchError(f"{path} is not an image that OpenCV can read: let textures name photographs only.")
    image.setflags(write=False)
    return image
