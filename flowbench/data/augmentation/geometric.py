"""FlowNet's geometric augmentation (arXiv 1504.06852, section 4.3), as its PyTorch re-implementations draw it.

Each change is a pure function of a sample and what was drawn, and a Random... object that draws it:

    augmentations = [RandomTranslate(max=10), RandomRotate(angle=10, difference=5), RandomFlip()]

Images keep their dtype; whole grey levels are rounded and clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from scipy import ndimage

from flowbench.errors import FlowBenchError
from flowbench.structures import FlowSample

Centre = Literal["true", "flownet"]
Correction = Literal["exact", "linearised"]
Interpolation = Literal["spline", "linear"]
_CHOICES = {
    "centre": ("true", "flownet"),
    "correction": ("exact", "linearised"),
    "interpolation": ("spline", "linear"),
}


@dataclass(frozen=True)
class RandomTranslate:
    """`translate` by whole pixels, uniform from -max to max; max: one number, or (vertical, horizontal)."""

    max: int | Sequence[int]

    def __post_init__(self) -> None:
        if len(self._limits()) != 2 or not all(isinstance(limit, int) and limit >= 0 for limit in self._limits()):
            raise FlowBenchError(
                f"RandomTranslate's max is {self.max}: give whole pixels, one or [vertical, horizontal]."
            )

    def _limits(self) -> Sequence[int]:
        return self.max if isinstance(self.max, Sequence) else (self.max, self.max)

    def __call__(self, sample: FlowSample, generator: np.random.Generator) -> FlowSample:
        down, right = self._limits()
        tw = generator.integers(-right, right + 1)
        th = generator.integers(-down, down + 1)
        return translate(sample, int(tw), int(th))


@dataclass(frozen=True)
class RandomRotate:
    """`rotate` by random angles.

    Args:
        angle: the largest rotation of both images, degrees; uniform in both directions.
        difference: the largest angle between the images, degrees; uniform in both directions.
        centre, correction, interpolation: see `rotate`.
    """

    angle: float
    difference: float = 0.0
    centre: Centre = "true"
    correction: Correction = "exact"
    interpolation: Interpolation = "spline"

    def __post_init__(self) -> None:
        _check_choices(centre=self.centre, correction=self.correction, interpolation=self.interpolation)

    def __call__(self, sample: FlowSample, generator: np.random.Generator) -> FlowSample:
        angle = generator.uniform(-self.angle, self.angle)
        difference = generator.uniform(-self.difference, self.difference)
        return rotate(
            sample,
            angle,
            difference,
            centre=self.centre,
            correction=self.correction,
            interpolation=self.interpolation,
        )


@dataclass(frozen=True)
class RandomFlip:
    """`flip`, each way with a probability of its own."""

    horizontal: float = 0.5
    vertical: float = 0.5

    def __call__(self, sample: FlowSample, generator: np.random.Generator) -> FlowSample:
        vertical = generator.random() < self.vertical
        horizontal = generator.random() < self.horizontal
        return flip(sample, horizontal=horizontal, vertical=vertical)


def translate(sample: FlowSample, tw: int, th: int) -> FlowSample:
    """Adds (tw, th) to the flow by cropping the images at opposite edges: (H - |th|, W - |tw|) remain.

    Args:
        sample: of at least (|th| + 1) x (|tw| + 1) pixels.
        tw: horizontal, pixels.
        th: vertical, pixels.
    """
    height, width = sample.flow.shape[:2]
    if abs(tw) >= width or abs(th) >= height:
        raise FlowBenchError(
            f"A translation by ({tw}, {th}) px leaves nothing of sample {sample.key}, which is {height}x{width} (height x "
            "width): make the largest translation smaller."
        )
    first = _overlap(height, th), _overlap(width, tw)
    second = _overlap(height, -th), _overlap(width, -tw)
    return replace(
        sample,
        image1=sample.image1[first],
        image2=sample.image2[second],
        flow=sample.flow[first] + np.array([tw, th], sample.flow.dtype),
        valid=sample.valid[first],
        occluded=None if sample.occluded is None else sample.occluded[first],
    )


def _overlap(size: int, shift: int) -> slice:
    return slice(max(0, shift), min(size, size + shift))


def flip(sample: FlowSample, *, horizontal: bool = False, vertical: bool = False) -> FlowSample:
    """A mirrored sample.

    Args:
        sample: is not changed in place.
        horizontal: exchanges left and right.
        vertical: exchanges top and bottom.
    """
    if not (horizontal or vertical):
        return sample
    order = slice(None, None, -1 if vertical else 1), slice(None, None, -1 if horizontal else 1)
    flow = sample.flow[order].copy()
    if horizontal:
        flow[..., 0] *= -1
    if vertical:
        flow[..., 1] *= -1
    return replace(
        sample,
        image1=sample.image1[order],
        image2=sample.image2[order],
        flow=flow,
        valid=sample.valid[order],
        occluded=None if sample.occluded is None else sample.occluded[order],
    )


def rotate(
    sample: FlowSample,
    angle: float,
    difference: float,
    *,
    centre: Centre = "true",
    correction: Correction = "exact",
    interpolation: Interpolation = "spline",
) -> FlowSample:
    """Rotates image 1 by angle - difference / 2 degrees and image 2 by angle + difference / 2, both about their middle.

    Positive angles are counter-clockwise. The size stays; pixels from outside are zero, and invalid in image 1.

    Args:
        sample: is not changed in place.
        angle: degrees.
        difference: degrees.
        centre: of the rotation of the flow. "true" is ((w - 1) / 2, (h - 1) / 2). FlowNetPytorch's (w / 2, h / 2) is 0.06 px
            off at 5 degrees.
        correction: of the flow for the angle between the images. "exact" is right. LightFlow's code has the linearised one,
            which leaves out the flow itself and is up to 1.5 px off.
        interpolation: "spline" is the quadratic one of both codes; "linear" takes a fifth of its time and smooths a little.
    """
    _check_choices(centre=centre, correction=correction, interpolation=interpolation)
    first, second = angle - difference / 2, angle + difference / 2
    # An unknown flow may be anything, even infinite, and a spline would spread it: beside one, the flow is read linearly.
    flow = np.where(sample.valid[..., None], sample.flow, 0)
    flow = flow + _change_between(flow, np.deg2rad(difference), centre, correction)
    interpolation_of_flow = interpolation if sample.valid.all() else "linear"
    flow = _turned(flow.astype(np.float32), first, interpolation_of_flow)
    return replace(
        sample,
        image1=_turned_image(sample.image1, first, interpolation),
        image2=_turned_image(sample.image2, second, interpolation),
        flow=(flow @ _turn(np.deg2rad(first)).T).astype(sample.flow.dtype),
        # The flow's own interpolation: where OpenCV rounds positions to 1/32 px, the mask's are rounded likewise.
        valid=_share(sample.valid, first, interpolation_of_flow) > 0.999,
        occluded=None if sample.occluded is None else _share(sample.occluded, first, "linear") > 0.5,
    )


def _change_between(flow: np.ndarray, difference: float, centre: Centre, correction: Correction) -> np.ndarray:
    """(H, W, 2): what turning image 2 alone, by `difference` radians, adds to the flow."""
    position = _from_centre(flow.shape[:2], centre)
    if correction == "linearised":
        return position @ np.array([[0.0, difference], [-difference, 0.0]]).T
    return (position + flow) @ (_turn(difference) - np.eye(2)).T


def _from_centre(size: tuple[int, int], centre: Centre) -> np.ndarray:
    """(H, W, 2): each pixel's (x, y), seen from the centre."""
    height, width = size
    beyond = 1 if centre == "true" else 0
    x, y = np.arange(width) - (width - beyond) / 2, np.arange(height) - (height - beyond) / 2
    return np.stack(np.meshgrid(x, y), axis=-1)


def _turn(radians: float) -> np.ndarray:
    """(2, 2): turns (x right, y down) counter-clockwise as one sees it."""
    cosine, sine = np.cos(radians), np.sin(radians)
    return np.array([[cosine, sine], [-sine, cosine]])


def _turned_image(image: np.ndarray, degrees: float, interpolation: Interpolation) -> np.ndarray:
    turned = _turned(image.astype(np.float32), degrees, interpolation)
    if np.issubdtype(image.dtype, np.integer):
        limits = np.iinfo(image.dtype)
        turned = np.clip(np.rint(turned), limits.min, limits.max)
    return turned.astype(image.dtype)


def _share(mask: np.ndarray, degrees: float, interpolation: Interpolation) -> np.ndarray:
    """(H, W): the interpolated share of set pixels around each position; pixels outside are not set."""
    return _turned(mask.astype(np.float32), degrees, interpolation, order=1)


def _turned(array: np.ndarray, degrees: float, interpolation: Interpolation, order: int = 2) -> np.ndarray:
    """A float32 array (H, W) or (H, W, C) turned about its middle; zeros outside. order: the spline's."""
    if interpolation == "spline":
        return ndimage.rotate(array, degrees, reshape=False, order=order)
    height, width = array.shape[:2]
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    back = _turn(np.deg2rad(-degrees))
    source = np.column_stack([back, middle - back @ middle])
    return cv2.warpAffine(array, source, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _check_choices(**chosen: str) -> None:
    for name, choice in chosen.items():
        if choice not in _CHOICES[name]:
            raise FlowBenchError(f"Unknown {name} '{choice}' of a rotation: choose {' or '.join(_CHOICES[name])}.")
