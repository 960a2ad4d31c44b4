"""TartanAir (Wang et al., IROS 2020, arXiv 2003.14338)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.data.sets.listing import chosen, numbered, picked, subfolders

DIFFICULTIES = ("Easy", "Hard")


class TartanAir(PairFiles):
    """A drone's flight through rendered environments, 640x480; the left camera.

    The flow is computed from depth and the camera's motion. Its mask marks where that does not lead to the same point of
    image2: 1 where another depth was found there, 10 where something nearer moves to the same pixel, 100 outside the
    image or behind the camera. None of these count as valid: some are occluded, some move by themselves, and the mask does
    not distinguish them.

    Args:
        root: the folder that holds a folder per environment.
        environments: the names of those that are used, null for all.
        leave_out: the names of those that are not used, to validate on them.
        difficulties: of Easy and Hard.
        at_most: see `PairFiles`.
    """

    title = "TartanAir"
    root_key = "paths.tartanair"
    tree = """\
    abandonedfactory/Easy/P000/image_left/000000_left.png, ...
    abandonedfactory/Easy/P000/flow/000000_000001_flow.npy, 000000_000001_mask.npy, ...
    and so on for every environment, Easy and Hard"""

    def __init__(
        self,
        root: str | Path,
        *,
        environments: Sequence[str] | None = None,
        leave_out: Sequence[str] = (),
        difficulties: str | Sequence[str] = DIFFICULTIES,
        at_most: int | None = None,
    ) -> None:
        super().__init__(root, at_most=at_most)
        self.environments, self.leave_out = environments, leave_out
        self.difficulties = chosen(self.title, "difficulties", difficulties, DIFFICULTIES)

    def list_pairs(self) -> list[PairPaths]:
        environments = picked("TartanAir's environments", subfolders(self.root), self.environments, self.leave_out)
        return [
            pair
            for environment in environments
            for difficulty in self.difficulties
            for flight in _flights(environment, difficulty)
            for pair in _pairs_of(flight, f"tartanair/{environment.name}/{difficulty}/{flight.name}")
        ]


def _flights(environment: Path, difficulty: str) -> list[Path]:
    # The archives hold a folder of the environment's name, which some unpack into another.
    folders = (environment / difficulty, environment / environment.name / difficulty)
    return [flight for folder in folders if folder.is_dir() for flight in subfolders(folder)]


def _pairs_of(flight: Path, sequence: str) -> Iterator[PairPaths]:
    frames = numbered(flight / "image_left", "", "_left.png")
    for number in frames:
        if number + 1 in frames:
            name = f"{number:06d}_{number + 1:06d}"
            yield PairPaths(
                key=f"{sequence}/{number:06d}",
                image1=frames[number],
                image2=frames[number + 1],
                flow=flight / "flow" / f"{name}_flow.npy",
                invalid=flight / "flow" / f"{name}_mask.npy",
            )
