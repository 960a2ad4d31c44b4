"""Photographs as textures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator

from flowbench.data.scenes.pictures import list_pictures, read_shrunk
from flowbench.errors import FlowBenchError

# Photographs are shrunk once, when they are read, and kept: 512 of them take at most 630 MB a process, most of the time
# half of that. Of more, the ones not used for longest are read again.
LONGEST_SIDE = 640
KEPT = 512


def list_photographs(textures: str | Sequence[str]) -> tuple[str, ...]:
    """The files that a glob matches, or those of a list, sorted.

    Raises FlowBenchError where there are none.
    """
    return list_pictures(textures, "textures", "/data/photographs/**/*.jpg")


def draw_photograph(rng: Generator, paths: Sequence[str], size: tuple[int, int]) -> np.ndarray:
    """A random part of a random photograph, resized: (h, w, 3) uint8 RGB."""
    photograph = read_photograph(paths[rng.integers(len(paths))])
    height, width = size
    largest = min(photograph.shape[0] / height, photograph.shape[1] / width)
    zoom = largest * rng.uniform(0.4, 1.0)
    crop_height, crop_width = max(1, round(height * zoom)), max(1, round(width * zoom))
    top = rng.integers(photograph.shape[0] - crop_height + 1)
    left = rng.integers(photograph.shape[1] - crop_width + 1)
    crop = photograph[top : top + crop_height, left : left + crop_width]
    shrinks = crop_height > height
    return cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


@lru_cache(maxsize=KEPT)
def read_photograph(path: str) -> np.ndarray:
    """A photograph, at most `LONGEST_SIDE` pixels long: (h, w, 3) uint8 RGB.

    Raises FlowBenchError where OpenCV cannot read the file.
    """
    image = read_shrunk(path, LONGEST_SIDE, cv2.IMREAD_COLOR)
    if image is None:
        raise FlowBenchError(f"{path} is not a picture that OpenCV can read: let textures name photographs only.")
    image.setflags(write=False)
    return image
