"""MPI Sintel (Butler et al., ECCV 2012)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from flowbench.data.pair_files import PairFiles, PairPaths, TruthPaths
from flowbench.data.sets.listing import chosen, chosen_split, numbered, subfolders

PASSES = ("clean", "final")
_FOLDERS = {"train": "training", "test": "test"}
_PAIRS_OF_A_PASS = {"train": 1041, "test": 552}


class Sintel(PairFiles):
    """Scenes of an animated film, 1024x436, rendered with few effects (clean) and with all of them (final).

    Args:
        split: train, or test, whose ground truth the benchmark's server keeps.
        passes: of clean and final.
        invalid: leaves out the pixels that the data set marks as invalid; the benchmark counts all.
    """

    title = "MPI Sintel"
    root_key = "paths.sintel"
    tree = """\
    training/clean/alley_1/frame_0001.png, ...; training/final/ alike
    training/flow/alley_1/frame_0001.flo, ...
    training/occlusions/alley_1/frame_0001.png, ...; training/invalid/ alike
    test/clean/ambush_1/frame_0001.png, ...; test/final/ alike"""

    def __init__(
        self,
        root: str | Path,
        *,
        split: str,
        passes: str | Sequence[str] = PASSES,
        invalid: bool = False,
        at_most: int | None = None,
    ) -> None:
        super().__init__(root, at_most=at_most)
        self.split = chosen_split(self.title, split, tuple(_FOLDERS))
        self.passes = chosen(self.title, "passes", passes, PASSES)
        self.invalid = invalid

    def list_pairs(self) -> list[PairPaths]:
        return [pair for name in self.passes for pair in self._pairs_of(name)]

    def published_count(self) -> int:
        return len(self.passes) * _PAIRS_OF_A_PASS[self.split]

    def _pairs_of(self, pass_name: str) -> Iterator[PairPaths]:
        for scene in subfolders(self.folder(f"{_FOLDERS[self.split]}/{pass_name}")):
            frames = numbered(scene, "frame_", ".png")
            for number in frames:
                if number + 1 in frames:
                    yield PairPaths(
                        key=f"sintel/{pass_name}/{scene.name}/{frames[number].stem}",
                        image1=frames[number],
                        image2=frames[number + 1],
                        **self._truth(scene.name, frames[number].stem),
                    )

    def _truth(self, scene: str, frame: str) -> TruthPaths:
        if self.split == "test":
            return {}
        folder = self.root / "training"
        truth: TruthPaths = {"flow": folder / "flow" / scene / f"{frame}.flo"}
        # Distributed apart from the flow, and not needed to train.
        if (folder / "occlusions").is_dir():
            truth["occluded"] = folder / "occlusions" / scene / f"{frame}.png"
        if self.invalid:
            truth["invalid"] = folder / "invalid" / scene / f"{frame}.png"
        return truth
