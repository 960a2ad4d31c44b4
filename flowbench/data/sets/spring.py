"""Spring (Mehl et al., CVPR 2023, arXiv 2303.01943)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.data.sets.listing import chosen, chosen_split, numbered, picked, subfolders

CAMERAS = ("left", "right")
DIRECTIONS = ("future", "past")
_FLOW_NAMES = {"future": "flow_FW", "past": "flow_BW"}
# 5,000 frames in 37 sequences, and 1,000 in 10.
_PAIRS_OF_A_CAMERA_AND_DIRECTION = {"train": 4963, "test": 990}


class Spring(PairFiles):
    """Scenes of an animated film, 1920x1080. The ground truth is stored at twice the size, in pixels of the images.

    Args:
        split: train, or test, whose ground truth the benchmark's server keeps.
        cameras: of left and right.
        directions: future, from a frame to the next, and past, from the next one back.
        sequences: the names of those that are used, null for all.
        leave_out: the names of those that are not used, to validate on them.
    """

    title = "Spring"
    root_key = "paths.spring"
    tree = """\
    train/0001/frame_left/frame_left_0001.png, ...; frame_right/ alike
    train/0001/flow_FW_left/flow_FW_left_0001.flo5, ...; flow_BW_left/, flow_FW_right/ and flow_BW_right/ alike
    test/0003/frame_left/frame_left_0001.png, ...; frame_right/ alike"""

    def __init__(
        self,
        root: str | Path,
        *,
        split: str,
        cameras: str | Sequence[str] = ("left",),
        directions: str | Sequence[str] = ("future",),
        sequences: Sequence[str] | None = None,
        leave_out: Sequence[str] = (),
        at_most: int | None = None,
    ) -> None:
        super().__init__(root, at_most=at_most)
        self.split = chosen_split(self.title, split, tuple(_PAIRS_OF_A_CAMERA_AND_DIRECTION))
        self.cameras = chosen(self.title, "cameras", cameras, CAMERAS)
        self.directions = chosen(self.title, "directions", directions, DIRECTIONS)
        self.sequences, self.leave_out = sequences, leave_out

    def list_pairs(self) -> list[PairPaths]:
        folders = picked("Spring's sequences", subfolders(self.folder(self.split)), self.sequences, self.leave_out)
        return [
            pair
            for camera in self.cameras
            for direction in self.directions
            for sequence in folders
            for pair in self._pairs_of(sequence, camera, direction)
        ]

    def published_count(self) -> int | None:
        if self.sequences is not None or self.leave_out:
            return None
        return len(self.cameras) * len(self.directions) * _PAIRS_OF_A_CAMERA_AND_DIRECTION[self.split]

    def _pairs_of(self, sequence: Path, camera: str, direction: str) -> Iterator[PairPaths]:
        frames = numbered(self.folder(f"{self.split}/{sequence.name}/frame_{camera}"), f"frame_{camera}_", ".png")
        name = f"{_FLOW_NAMES[direction]}_{camera}"
        # Against time from the last pair on, so that each pair continues the one before.
        for number in frames if direction == "future" else reversed(frames):
            if number + 1 in frames:
                first, second = (number, number + 1) if direction == "future" else (number + 1, number)
                yield PairPaths(
                    key=f"spring/{sequence.name}/{name}/{first:04d}",
                    image1=frames[first],
                    image2=frames[second],
                    flow=None if self.split == "test" else sequence / name / f"{name}_{first:04d}.flo5",
                    flow_step=2,
                )
