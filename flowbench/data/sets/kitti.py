"""KITTI's flow benchmarks of 2015 (Menze and Geiger, CVPR 2015) and 2012 (Geiger et al., CVPR 2012)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from flowbench.data.pair_files import PairFiles, PairPaths, TruthPaths
from flowbench.data.sets.listing import chosen_split

_FOLDERS = {"train": "training", "test": "testing"}


class Kitti(PairFiles):
    """KITTI 2015: images from a driving car, about 1242x375, with sparse ground truth, also of other cars.

    Args:
        root: the folder that holds `training/` and `testing/`.
        split: train, or test, whose ground truth the benchmark's server keeps.
        at_most: see `PairFiles`.
    """

    title = "KITTI 2015"
    root_key = "paths.kitti"
    sparse = True
    tree = """\
    training/image_2/000000_10.png, 000000_11.png, ...
    training/flow_occ/000000_10.png, ...; training/flow_noc/ alike
    testing/image_2/000000_10.png, 000000_11.png, ..."""

    name: ClassVar[str] = "kitti"
    image_folder: ClassVar[str] = "image_2"
    counts: ClassVar[dict[str, int]] = {"train": 200, "test": 200}

    def __init__(self, root: str | Path, *, split: str, at_most: int | None = None) -> None:
        super().__init__(root, at_most=at_most)
        self.split = chosen_split(self.title, split, tuple(_FOLDERS))

    def list_pairs(self) -> list[PairPaths]:
        part = _FOLDERS[self.split]
        images = self.folder(f"{part}/{self.image_folder}")
        return [
            PairPaths(
                key=f"{self.name}/{part}/{first.stem}",
                image1=first,
                image2=first.with_name(first.name.replace("_10.", "_11.")),
                **self._truth(first.name),
            )
            for first in sorted(images.glob("[0-9]*_10.png"))
        ]

    def published_count(self) -> int:
        return self.counts[self.split]

    def _truth(self, file_name: str) -> TruthPaths:
        if self.split == "test":
            return {}
        folder = self.root / "training"
        truth: TruthPaths = {"flow": folder / "flow_occ" / file_name}
        if (folder / "flow_noc").is_dir():
            truth["visible"] = folder / "flow_noc" / file_name
        return truth


class Kitti2012(Kitti):
    """KITTI 2012: as KITTI 2015, but nothing moves in these images but the camera.

    split: train, or test, whose ground truth the benchmark's server keeps.
    """

    title = "KITTI 2012"
    root_key = "paths.kitti2012"
    tree = """\
    training/colored_0/000000_10.png, 000000_11.png, ...
    training/flow_occ/000000_10.png, ...; training/flow_noc/ alike
    testing/colored_0/000000_10.png, 000000_11.png, ..."""

    name = "kitti2012"
    image_folder = "colored_0"
    counts: ClassVar[dict[str, int]] = {"train": 194, "test": 195}
