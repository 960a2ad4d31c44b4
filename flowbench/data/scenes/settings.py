"""Settings of scenes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property

from flowbench.errors import FlowBenchError

# Sizes and displacements are stated for images of this size.
REFERENCE_SIZE = (384, 512)


@dataclass(frozen=True)
class Shares:
    """Composition of scenes, in shares from 0 to 1.

    Args:
        photographs: share of the surfaces with a photograph, if photographs are given.
        plain: share of the surfaces in one colour or a slow gradient; the rest have procedural textures.
        cutouts: share of the things that are cut-outs, if cut-outs are given.
        thin: share of the things that are thin, such as wires; the rest have drawn outlines.
        parallax: share of the backgrounds with several planes before one camera; the rest are one plane.

    Raises FlowBenchError for a share outside of [0, 1] and for shares of surfaces or things that sum to more than 1.
    """

    photographs: float = 0.6
    plain: float = 0.0
    cutouts: float = 0.5
    thin: float = 0.0
    parallax: float = 0.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            share = getattr(self, entry.name)
            if not 0 <= share <= 1:
                raise FlowBenchError(f"shares.{entry.name} is {share!r}: give a share from 0 to 1.")
        for first, second in (("photographs", "plain"), ("cutouts", "thin")):
            total = getattr(self, first) + getattr(self, second)
            if total > 1:
                raise FlowBenchError(f"shares.{first} and shares.{second} sum to {total:g}: give at most 1 in all.")

    @classmethod
    def from_config(cls, config: Mapping[str, float]) -> Shares:
        """Reads {kind: share}; missing kinds keep their defaults. Raises FlowBenchError for a kind that does not exist."""
        known = [entry.name for entry in fields(cls)]
        unknown = sorted(set(config) - set(known))
        if unknown:
            raise FlowBenchError(f"shares has no {', '.join(unknown)}: it knows {', '.join(known)}.")
        return cls(**config)


@dataclass(frozen=True)
class SceneSettings:
    """The user's choices for scenes.

    Args:
        size: (height, width) in pixels.
        layers: smallest and largest number of layers in front of the background.
        max_displacement: pixels at 384x512.
        static_fraction: the share of scenes in which nothing moves.
        photographs: files.
        cutouts: files.
        shares: composition of the scenes.
        motions: smallest and largest number of motions of things, which then move in groups; None where each moves on its
            own.
    """

    size: tuple[int, int]
    layers: tuple[int, int]
    max_displacement: float
    static_fraction: float
    photographs: tuple[str, ...] = ()
    cutouts: tuple[str, ...] = ()
    shares: Shares = field(default_factory=Shares)
    motions: tuple[int, int] | None = None

    @cached_property
    def scale(self) -> float:
        """The images' size over 384x512: the square root of the ratio of their areas."""
        return math.sqrt(math.prod(self.size) / math.prod(REFERENCE_SIZE))

    @property
    def limit(self) -> float:
        """The largest displacement in pixels at this size."""
        return self.max_displacement * self.scale
