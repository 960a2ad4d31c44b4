"""The built-in data set: scenes drawn at random, with exact flow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

from flowbench.data.scenes.cutouts import list_cutouts
from flowbench.data.scenes.draws import log_uniform
from flowbench.data.scenes.effect import Pair
from flowbench.data.scenes.effects import Effects
from flowbench.data.scenes.layers import Layer
from flowbench.data.scenes.photographs import list_photographs
from flowbench.data.scenes.render import Frame, exact_flow, render
from flowbench.data.scenes.scene import draw_scene
from flowbench.data.scenes.settings import SceneSettings, Shares
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowDataset, FlowSample

SPLITS = ("train", "val", "test")
# Pixels; textures and shapes need a few.
SMALLEST_SIDE = 16
# An owner is a byte, and a background is at most three layers.
MOST_LAYERS = 253
DEFAULT_EFFECTS = Effects()


@dataclass(frozen=True, eq=False)
class ScenePair:
    """One scene in both directions, for instance to test that they agree.

    forward: image1 to image2. backward: the same images exchanged, with the flow and occlusion from image2 to image1.
    """

    forward: FlowSample
    backward: FlowSample


class SyntheticScenes(FlowDataset):
    """Layered scenes under camera motion, with exact dense flow and occlusion.

    A sample is a function of the arguments and its index alone, in any process.

    Args:
        size: (height, width) of the images in pixels.
        count: number of pairs.
        split: "train", "val" or "test"; no two share a scene.
        seed: of all scenes.
        layers: smallest and largest number of layers in front of the background.
        max_displacement: the largest |flow|, in pixels at 384x512; it scales with the images' size, and all speeds scale
            with it. Of [low, high], every scene draws its own, log-uniformly.
        static_fraction: the share of pairs in which nothing moves.
        textures: a glob or a list of photographs, which then cover most surfaces; None for procedural textures alone.
        cutouts: a glob or a list of images with an alpha channel, which become things of that outline; or None.
        shares: changes to `Shares`.
        motions: smallest and largest number of motions, which groups of things share; None where each has its own.
        effects: an `Effects`, or a mapping of changes to its defaults; None for no effects.

    Raises FlowBenchError for values out of range, and for textures and cutouts that match no file.
    """

    def __init__(
        self,
        *,
        size: Sequence[int] = (384, 512),
        count: int,
        split: str,
        seed: int = 0,
        layers: Sequence[int] = (3, 12),
        max_displacement: float | Sequence[float] = 100.0,
        static_fraction: float = 0.05,
        textures: str | Sequence[str] | None = None,
        cutouts: str | Sequence[str] | None = None,
        shares: Mapping[str, float] | None = None,
        motions: Sequence[int] | None = None,
        effects: Effects | Mapping[str, Any] | None = DEFAULT_EFFECTS,
    ) -> None:
        _check(split in SPLITS, "split", split, f"one of {', '.join(SPLITS)}")
        _check(count >= 1, "count", count, "at least 1")
        _check(seed >= 0, "seed", seed, "a whole number that is not negative")
        _check(
            isinstance(size, Sequence) and len(size) == 2 and min(size) >= SMALLEST_SIDE,
            "size",
            size,
            f"[height, width] from {SMALLEST_SIDE} up",
        )
        _check(
            len(layers) == 2 and 0 <= layers[0] <= layers[1] <= MOST_LAYERS,
            "layers",
            layers,
            f"[fewest, most], at most {MOST_LAYERS}",
        )
        slowest, fastest = _as_range(max_displacement)
        _check(
            0 < slowest <= fastest < math.inf,
            "max_displacement",
            max_displacement,
            "pixels, more than 0, or two such numbers, the lower one first",
        )
        _check(0 <= static_fraction <= 1, "static_fraction", static_fraction, "a share from 0 to 1")
        _check(
            motions is None or (len(motions) == 2 and 1 <= motions[0] <= motions[1]),
            "motions",
            motions,
            "[fewest, most], at least 1, or null",
        )
        self.split = split
        self.seed = seed
        self.effects = effects if isinstance(effects, Effects) else Effects.from_config(effects)
        self.settings = SceneSettings(
            size=(int(size[0]), int(size[1])),
            layers=(int(layers[0]), int(layers[1])),
            max_displacement=fastest,
            static_fraction=float(static_fraction),
            photographs=() if textures is None else list_photographs(textures),
            cutouts=() if cutouts is None else list_cutouts(cutouts),
            shares=Shares.from_config(shares or {}),
            motions=None if motions is None else (int(motions[0]), int(motions[1])),
        )
        self._slowest = slowest
        self._count = int(count)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> FlowSample:
        return self._samples(index, directions=1)[0]

    def pair(self, index: int) -> ScenePair:
        """The sample at `index`, and the same one seen from image2."""
        return ScenePair(*self._samples(index, directions=2))

    def _samples(self, index: int, directions: int) -> list[FlowSample]:
        """One scene: from image1 to image2 and, where two directions are wanted, back."""
        index = range(self._count)[index]
        geometry, textures, effects, limit = SeedSequence((self.seed, SPLITS.index(self.split), index)).spawn(4)
        settings = self._settings(Generator(PCG64(limit)))
        scene = draw_scene(settings, Generator(PCG64(geometry)), Generator(PCG64(textures)))
        frames = [render(scene, number, self.settings.size) for number in (1, 2)]
        images = self.effects.apply((frames[0].image, frames[1].image), effects, self.settings.scale)
        frame_pairs = zip(frames[:directions], (images, images[::-1]))
        return [self._sample(index, scene, frame, pair) for frame, pair in frame_pairs]

    def _settings(self, rng: Generator) -> SceneSettings:
        """The settings of one scene, with a max_displacement of its own."""
        fastest = self.settings.max_displacement
        if self._slowest == fastest:
            return self.settings
        return replace(self.settings, max_displacement=log_uniform(rng, self._slowest, fastest))

    def _sample(self, index: int, scene: list[Layer], frame: Frame, images: Pair) -> FlowSample:
        flow, occluded = exact_flow(scene, frame)
        return FlowSample(
            image1=images[0],
            image2=images[1],
            flow=flow,
            valid=np.ones(self.settings.size, bool),
            occluded=occluded,
            key=f"synthetic/{self.split}/{index:06d}",
        )


def _as_range(value: float | Sequence[float]) -> tuple[float, float]:
    """(low, high) of two numbers, or of one that is both; (0, 0) of anything else."""
    numbers = list(value) if isinstance(value, Sequence) else [value, value]
    return (float(numbers[0]), float(numbers[1])) if len(numbers) == 2 else (0.0, 0.0)


def _check(holds: bool, name: str, found: object, expected: str) -> None:
    if not holds:
        raise FlowBenchError(f"{name} is {found!r}: give {expected}.")
