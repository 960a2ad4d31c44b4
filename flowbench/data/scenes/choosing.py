"""Choice of images for scenes: photographs and cut-outs, but no drawings, normal maps or near copies."""

from __future__ import annotations

from enum import Enum

import cv2
import numpy as np

# Images are judged at this length of the shorter side, pixels; those with a smaller one are of no use.
JUDGED_SIDE = 256
SMALLEST_PHOTOGRAPH = 256
SMALLEST_CUTOUT = 128
# Alpha above it counts as opaque: the share of opaque pixels of a photograph, and its range for a cut-out.
OPAQUE = 127
LEAST_OPAQUE = 0.98
CUTOUT_AREA = (0.05, 0.92)
# Drawings have few colours, counted in steps of 16, and a large share of neighbouring pixels of exactly the same grey.
FEWEST_COLOURS = 100
MOST_FLAT = 0.55
MOST_FLAT_CUTOUT = 0.62
# The smallest mean difference of grey between neighbouring pixels: below it, there is hardly a texture.
LEAST_STEP = 2.2
# The largest shares of white pixels, as in the margins of drawings, and of black ones, as between the parts of a map.
MOST_WHITE = 0.25
MOST_BLACK = 0.35
# The smallest number of the 256 comparisons of a sketch that differ between two images; below it, they are near copies.
LEAST_DIFFERENCE = 24


class Kind(Enum):
    """The use of an image in scenes."""

    PHOTOGRAPH = "photographs"
    CUTOUT = "cutouts"


def kind_of(image: np.ndarray) -> Kind | None:
    """The use of an (h, w, 3 or 4) uint8 RGB or RGBA image; None where it has none."""
    opaque = image[..., 3] > OPAQUE if image.shape[2] == 4 else np.ones(image.shape[:2], bool)
    if opaque.mean() >= LEAST_OPAQUE:
        return Kind.PHOTOGRAPH if _is_photograph(image[..., :3]) else None
    smallest, largest = CUTOUT_AREA
    is_cutout = min(image.shape[:2]) >= SMALLEST_CUTOUT and smallest < opaque.mean() < largest
    return Kind.CUTOUT if is_cutout and _flat_share(image[..., :3], opaque) <= MOST_FLAT_CUTOUT else None


def sketch(image: np.ndarray) -> np.ndarray:
    """256 bools, nearly the same for images that look the same: where grey grows from left to right."""
    grey = cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (17, 16), interpolation=cv2.INTER_AREA).astype(int)
    return (np.diff(small, axis=1) > 0).ravel()


def looks_like(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two sketches are of near copies."""
    return int((one != other).sum()) < LEAST_DIFFERENCE


def _is_photograph(image: np.ndarray) -> bool:
    if min(image.shape[:2]) < SMALLEST_PHOTOGRAPH:
        return False
    scale = JUDGED_SIDE / min(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    colours = len(np.unique((small // 16).reshape(-1, 3), axis=0))
    steps = np.abs(np.diff(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(int), axis=1))
    has_margins = np.mean(small.min(2) > 245) > MOST_WHITE or np.mean(small.max(2) < 8) > MOST_BLACK
    everywhere = np.ones(small.shape[:2], bool)
    return bool(
        colours >= FEWEST_COLOURS
        and steps.mean() >= LEAST_STEP
        and _flat_share(small, everywhere) <= MOST_FLAT
        and not has_margins
        and not _shows_normals(small)
    )


def _flat_share(image: np.ndarray, where: np.ndarray) -> float:
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).astype(int)
    counted = where[:, 1:] & where[:, :-1]
    return float(np.mean(np.diff(grey, axis=1)[counted] == 0))


def _shows_normals(image: np.ndarray) -> bool:
    """Directions of a surface, painted as colours: blue is towards the viewer."""
    red, green, blue = image.reshape(-1, 3).mean(0)
    return blue > 175 and abs(green - 128) < 35 and abs(red - 128) < 35
