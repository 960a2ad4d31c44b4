"""FlyingThings3D (Mayer et al., CVPR 2016, arXiv 1512.02134): the full data set and the published subset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.data.sets.listing import chosen, chosen_split, numbered, subfolders
from flowbench.errors import FlowBenchError

PASSES = ("clean", "final")
DIRECTIONS = ("future", "past")
_SPLITS = ("train", "test")
# 2,239 and 437 videos of ten frames.
_PAIRS_OF_A_PASS_AND_DIRECTION = {"train": 9 * 2239, "test": 9 * 437}
_FLOW_NAMES = {"future": "OpticalFlowIntoFuture_", "past": "OpticalFlowIntoPast_"}


class Things(PairFiles):
    """Videos of ten frames, 960x540, of things that fly about at random; the left camera.

    The full data set and the subset have different folder trees; `tree_found` is the one under the root.

    Args:
        root: the folder of either tree.
        split: train or test, which the subset calls val.
        passes: of clean and final.
        directions: future, from a frame to the next, and past, from the next one back.
        at_most: see `PairFiles`.
    """

    title = "FlyingThings3D"
    root_key = "paths.things"
    tree = """\
    frames_cleanpass/TRAIN/A/0000/left/0006.png, ...; frames_finalpass/ alike
    optical_flow/TRAIN/A/0000/into_future/left/OpticalFlowIntoFuture_0006_L.pfm, ...; into_past/ alike
or, of FlyingThings3D_subset,
    train/image_clean/left/0000000.png, ...; train/image_final/ alike
    train/flow/left/into_future/0000000.flo, ...; train/flow/left/into_past/ alike
    val/ alike"""

    def __init__(
        self,
        root: str | Path,
        *,
        split: str,
        passes: str | Sequence[str] = PASSES,
        directions: str | Sequence[str] = DIRECTIONS,
        at_most: int | None = None,
    ) -> None:
        super().__init__(root, at_most=at_most)
        self.split = chosen_split(self.title, split, _SPLITS)
        self.passes = chosen(self.title, "passes", passes, PASSES)
        self.directions = chosen(self.title, "directions", directions, DIRECTIONS)

    @cached_property
    def tree_found(self) -> str:
        """ "full" or "subset". Raises FlowBenchError where the root holds neither tree."""
        if any((self.root / f"frames_{name}pass").is_dir() for name in PASSES):
            return "full"
        if any((self.root / name / "flow").is_dir() for name in ("train", "val")):
            return "subset"
        raise FlowBenchError(f"{self.title}: neither of its two trees lies under '{self.root}'. {self.expectation()}")

    def list_pairs(self) -> list[PairPaths]:
        pairs_of = self._pairs if self.tree_found == "full" else self._pairs_of_subset
        return [pair for name in self.passes for direction in self.directions for pair in pairs_of(name, direction)]

    def published_count(self) -> int | None:
        """Of the full data set; the subset's number of pairs is not published."""
        if self.tree_found == "subset":
            return None
        return len(self.passes) * len(self.directions) * _PAIRS_OF_A_PASS_AND_DIRECTION[self.split]

    def _pairs(self, pass_name: str, direction: str) -> Iterator[PairPaths]:
        part = self.split.upper()
        flow_folder = self.folder(f"optical_flow/{part}")
        letters = subfolders(self.folder(f"frames_{pass_name}pass/{part}"))
        for video in (video for letter in letters for video in subfolders(letter)):
            name = f"{video.parent.name}/{video.name}"
            flows = flow_folder / name / f"into_{direction}" / "left"
            frames = numbered(video / "left", "", ".png")
            # There is flow from the last frame into the future, too, and from the first into the past; but no image there.
            for number in (number for number in frames if number + 1 in frames):
                first, second = _ends(number, direction)
                yield PairPaths(
                    key=f"things/{pass_name}/{self.split}/{name}/into_{direction}/{first:04d}",
                    image1=frames[first],
                    image2=frames[second],
                    flow=flows / f"{_FLOW_NAMES[direction]}{first:04d}_L.pfm",
                )

    def _pairs_of_subset(self, pass_name: str, direction: str) -> Iterator[PairPaths]:
        part = {"train": "train", "test": "val"}[self.split]
        frames = numbered(self.folder(f"{part}/image_{pass_name}/left"), "", ".png")
        flows = {name: numbered(self.folder(f"{part}/flow/left/into_{name}"), "", ".flo") for name in DIRECTIONS}
        video = None
        for number in frames:
            # The videos' frames are numbered on as one; two belong together where flow leads there and back.
            together = number + 1 in frames and number in flows["future"] and number + 1 in flows["past"]
            if not together:
                video = None
                continue
            video = number if video is None else video
            first, second = _ends(number, direction)
            yield PairPaths(
                key=f"things/{pass_name}/{self.split}/{video:07d}/into_{direction}/{first:07d}",
                image1=frames[first],
                image2=frames[second],
                flow=flows[direction][first],
            )


def _ends(number: int, direction: str) -> tuple[int, int]:
    """From which of the frames `number` and `number` + 1 the flow leads to which."""
    return (number, number + 1) if direction == "future" else (number + 1, number)
