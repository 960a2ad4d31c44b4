"""Pictures and flow of one's own, wherever they lie."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.errors import FlowBenchError
from flowbench.io.flow import SUFFIXES as FLOW_SUFFIXES
from flowbench.io.frames import ImageFrames, is_pattern, natural_order
from flowbench.io.image import SUFFIXES as PICTURE_SUFFIXES

# The formats that hold a mask of their own.
_SPARSE_SUFFIXES = (".png", ".npz")


class Folder(PairFiles):
    """The pictures that a pattern matches, each folder of them a sequence in natural order: a pair is a picture and the next.

    images: a pattern ("frames/*.png", "videos/*/*.png") or a folder. flow: a pattern with the suffix of flow files; each
    folder has as many as its pictures have pairs, or one more, whose last is not used; None where there is no truth.
    second: a pattern of second pictures, where these have names of their own ("img2/*.png"); then the pictures, the second
    pictures and the flow files match one another in natural order. part: (from, to), shares of all pairs, which are used.
    """

    title = "Your pictures"
    root_key = "data.images"
    tree = "    frames/0001.png, 0002.png, ..."

    def __init__(
        self,
        images: str,
        *,
        flow: str | None = None,
        second: str | None = None,
        part: Sequence[float] = (0.0, 1.0),
    ) -> None:
        super().__init__(_fixed_part(images))
        if not 0 <= part[0] < part[1] <= 1:
            raise FlowBenchError(f"{self.title}: part={list(part)}: [from, to] is needed, shares from 0 to 1.")
        if flow is not None and Path(flow).suffix.lower() not in FLOW_SUFFIXES:
            raise FlowBenchError(
                f"data.flow={flow}: the pattern must end in the suffix of flow files: {', '.join(FLOW_SUFFIXES)}."
            )
        self.images, self.flow, self.second, self.part = images, flow, second, part

    @property
    def sparse(self) -> bool:
        """Whether the flow's format is made for truth that is known at some pixels only."""
        return self.flow is not None and Path(self.flow).suffix.lower() in _SPARSE_SUFFIXES

    def list_pairs(self) -> list[PairPaths]:
        pictures = _matching("data.images", self.images, PICTURE_SUFFIXES)
        flows = None if self.flow is None else _matching("data.flow", self.flow, FLOW_SUFFIXES)
        if self.second is not None:
            pairs = self._by_order(pictures, _matching("data.second", self.second, PICTURE_SUFFIXES), flows)
        else:
            pairs = self._by_sequence(pictures, flows)
        first, last = (round(share * len(pairs)) for share in self.part)
        if first == last:
            raise FlowBenchError(
                f"data.images={self.images} has {len(pairs)} pairs: too few to split them at data.validation_share."
            )
        return pairs[first:last]

    def expectation(self) -> str:
        return f"Set {self.root_key} to what matches your pictures, for instance {self.root_key}='frames/*.png'."

    def _by_order(self, firsts: list[Path], seconds: list[Path], flows: list[Path] | None) -> list[PairPaths]:
        if len(seconds) != len(firsts):
            raise FlowBenchError(
                f"{len(firsts)} pictures match data.images={self.images}, but {len(seconds)} match data.second="
                f"{self.second}: each needs its second picture."
            )
        if flows is not None and len(flows) != len(firsts):
            raise FlowBenchError(
                f"{len(firsts)} pictures and second pictures give as many pairs, but {len(flows)} flow files match "
                f"data.flow={self.flow}: one a pair is needed."
            )
        return self._pairs(firsts, seconds, flows)

    def _by_sequence(self, pictures: list[Path], flows: list[Path] | None) -> list[PairPaths]:
        sequences = _by_folder(pictures)
        flows_of = [None] * len(sequences) if flows is None else _by_folder(flows)
        if len(flows_of) != len(sequences):
            raise FlowBenchError(
                f"The pictures of data.images={self.images} lie in {_folders(len(sequences))}, the flow files of data.flow="
                f"{self.flow} in {_folders(len(flows_of))}: each folder of pictures, a sequence, needs one of flow."
            )
        return [
            pair
            for frames, flow in zip(sequences, flows_of, strict=True)
            for pair in self._pairs(frames[:-1], frames[1:], self._checked(frames, flow))
        ]

    def _checked(self, frames: list[Path], flows: list[Path] | None) -> list[Path] | None:
        """The flow files of a sequence, one a pair."""
        pairs, folder = len(frames) - 1, frames[0].parent
        if pairs == 0:
            raise FlowBenchError(
                f"data.images={self.images}: '{folder}' has one picture that matches; a pair needs two."
            )
        if flows is not None and len(flows) not in (pairs, pairs + 1):
            raise FlowBenchError(
                f"{len(frames)} pictures in '{folder}' give {pairs} pairs, but {len(flows)} flow files in "
                f"'{flows[0].parent}' match data.flow={self.flow}: one a pair is needed, or one a picture."
            )
        return None if flows is None else flows[:pairs]

    def _pairs(self, firsts: list[Path], seconds: list[Path], flows: list[Path] | None) -> list[PairPaths]:
        return [
            PairPaths(key=key, image1=image1, image2=image2, flow=flow)
            for key, image1, image2, flow in zip(
                self._keys(firsts), firsts, seconds, flows or [None] * len(firsts), strict=True
            )
        ]

    def _keys(self, pictures: list[Path]) -> list[str]:
        """folder/<sequence>/<picture>, the sequence as it is called under the root."""
        names = ImageFrames(pictures).names
        sequences = [picture.parent.relative_to(self.root) for picture in pictures]
        return [
            Path("folder", sequence, Path(name).name).as_posix()
            for sequence, name in zip(sequences, names, strict=True)
        ]


def _fixed_part(pattern: str) -> Path:
    """The folder that all matches of a pattern lie in."""
    path = Path(pattern)
    while is_pattern(str(path)):
        path = path.parent
    return path


def _matching(option: str, pattern: str, suffixes: Sequence[str]) -> list[Path]:
    found = glob.glob(pattern if is_pattern(pattern) else f"{glob.escape(pattern)}/*", recursive=True)
    paths = sorted((Path(name) for name in found if Path(name).suffix.lower() in suffixes), key=natural_order)
    if not paths:
        raise FlowBenchError(f"{option}={pattern}: matches no file that ends in {', '.join(suffixes)}.")
    return paths


def _by_folder(paths: list[Path]) -> list[list[Path]]:
    ordered = sorted(paths, key=lambda path: (natural_order(path.parent), natural_order(path)))
    return [list(group) for _, group in groupby(ordered, key=lambda path: path.parent)]


def _folders(count: int) -> str:
    return "one folder" if count == 1 else f"{count} folders"
