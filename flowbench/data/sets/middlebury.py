"""Middlebury's flow benchmark, the scenes whose ground truth is public (Baker et al., IJCV 2011)."""

from __future__ import annotations

from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.data.sets.listing import subfolders


class Middlebury(PairFiles):
    """Eight scenes of small, exactly measured or rendered motion; to evaluate on, too few to train with."""

    title = "Middlebury"
    root_key = "paths.middlebury"
    tree = """\
    other-data/RubberWhale/frame10.png, frame11.png; ...
    other-gt-flow/RubberWhale/flow10.flo; ..."""

    def list_pairs(self) -> list[PairPaths]:
        images = self.folder("other-data")
        return [
            PairPaths(
                key=f"middlebury/{scene.name}/frame10",
                image1=images / scene.name / "frame10.png",
                image2=images / scene.name / "frame11.png",
                flow=scene / "flow10.flo",
            )
            # Four more scenes have images alone.
            for scene in subfolders(self.folder("other-gt-flow"))
        ]

    def published_count(self) -> int:
        return 8
