"""FlyingChairs (Dosovitskiy et al., ICCV 2015, arXiv 1504.06852)."""

from __future__ import annotations

from pathlib import Path

from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.data.sets.listing import chosen_split
from flowbench.errors import FlowBenchError
from flowbench.io.read_bytes import read_bytes

SPLIT_FILE = "FlyingChairs_train_val.txt"
_MARKS = {"train": "1", "val": "2"}
_PUBLISHED = {"train": 22_232, "val": 640}


class Chairs(PairFiles):
    """22,872 rendered pairs of 512x384.

    Args:
        root: the folder that holds `data/`.
        split: train or val.
        split_file: one line per pair, 1 for training and 2 for validation; None for the official FlyingChairs_train_val.txt
            in the root.
        at_most: see `PairFiles`.
    """

    title = "FlyingChairs"
    root_key = "paths.chairs"
    tree = f"""\
    data/00001_img1.ppm, 00001_img2.ppm, 00001_flow.flo, ...
    {SPLIT_FILE} (a download of its own)"""

    def __init__(
        self,
        root: str | Path,
        *,
        split: str,
        split_file: str | Path | None = None,
        at_most: int | None = None,
    ) -> None:
        super().__init__(root, at_most=at_most)
        self.split = chosen_split(self.title, split, tuple(_MARKS))
        self.split_file = self.root / SPLIT_FILE if split_file is None else Path(split_file)

    def list_pairs(self) -> list[PairPaths]:
        folder = self.root / "data"
        wanted = _MARKS[self.split]
        return [
            PairPaths(
                key=f"chairs/{number:05d}",
                image1=folder / f"{number:05d}_img1.ppm",
                image2=folder / f"{number:05d}_img2.ppm",
                flow=folder / f"{number:05d}_flow.flo",
            )
            for number, mark in enumerate(self._marks(), start=1)
            if mark == wanted
        ]

    def published_count(self) -> int:
        return _PUBLISHED[self.split]

    def _marks(self) -> list[str]:
        if not self.split_file.is_file():
            raise FlowBenchError(
                f"FlyingChairs: there is no split file '{self.split_file}', which says which pairs are for training and "
                "which for validation: download FlyingChairs_train_val.txt from the data set's page into the root, or name "
                "another with paths.chairs_split=<file>."
            )
        marks = read_bytes(self.split_file).decode(errors="replace").split()
        strange = next((line for line, mark in enumerate(marks, start=1) if mark not in _MARKS.values()), None)
        if strange is not None:
            raise FlowBenchError(
                f"{self.split_file}, line {strange}: {marks[strange - 1]!r}; each line is 1 (training) or 2 (validation)."
            )
        return marks
