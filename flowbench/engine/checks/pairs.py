"""Checks of one pair of a data set, and statistics of its flow."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from flowbench.data.pair_files import PairPaths, read_pair
from flowbench.engine.checks.warping import difference_after_warping
from flowbench.errors import FlowBenchError
from flowbench.io.flo import read_flo
from flowbench.io.flow import read_flow
from flowbench.io.image import read_image
from flowbench.io.mask import read_mask
from flowbench.io.mask_npy import read_mask_npy
from flowbench.io.pfm import read_pfm
from flowbench.io.read_bytes import check_file
from flowbench.structures import FlowDataset

Size = tuple[int, int]

_UNREADABLE = (FlowBenchError, OSError)
# Formats in which "not a number" is no mark for an unknown pixel.
_READERS_AS_STORED = {".flo": read_flo, ".pfm": read_pfm}


@dataclass(frozen=True)
class Problem:
    """level: "error", a file that cannot be trained on; "warning", one to look at. file: its path, or the pair's key where
    there is none."""

    level: Literal["error", "warning"]
    file: str
    what: str


@dataclass(frozen=True)
class PairFigures:
    """size: (height, width). valid: pixels whose flow is known, None where there is no truth. longest, total: the greatest
    and the summed length of their flow, px. occluded: those of them that image2 does not show, None where nobody says.
    after_warping: `difference_after_warping`, None where it was not looked at or does not tell."""

    size: Size
    valid: int | None = None
    longest: float = 0.0
    total: float = 0.0
    occluded: int | None = None
    after_warping: float | None = None


@dataclass(frozen=True)
class PairCheck:
    """figures: None where the pair was not opened, or cannot be read."""

    problems: tuple[Problem, ...] = ()
    figures: PairFigures | None = None


def check_pair(paths: PairPaths, *, opened: bool, warped: bool = True) -> PairCheck:
    """opened: whether the files are read; otherwise it is only seen whether they are there. warped: whether the images are
    compared after warping by the ground truth, too."""
    if not opened:
        return PairCheck(tuple(_absent(paths)))
    try:
        sample = read_pair(paths)
    except _UNREADABLE as error:
        return PairCheck(tuple(_problems_apart(paths)) or (Problem("error", paths.key, str(error)),))
    if paths.flow is None:
        return PairCheck((), PairFigures(sample.valid.shape))
    figures = _figures(sample.flow, sample.valid, sample.occluded)
    if warped:
        figures = replace(figures, after_warping=difference_after_warping(sample))
    return PairCheck(tuple(_problems_of_truth(paths.flow, figures)), figures)


def check_generated(samples: FlowDataset, index: int) -> PairCheck:
    """Of a data set without files."""
    try:
        sample = samples[index]
    except _UNREADABLE as error:
        return PairCheck((Problem("error", f"index {index}", str(error)),))
    shapes = {"image 2": sample.image2.shape[:2], "flow": sample.flow.shape[:2], "valid": sample.valid.shape}
    odd = {name: shape for name, shape in shapes.items() if shape != sample.image1.shape[:2]}
    if odd:
        what = ", ".join(f"{name} is {_shown(shape)}" for name, shape in odd.items())
        return PairCheck((Problem("error", sample.key, f"{what}, but image 1 is {_shown(sample.image1.shape)}"),))
    if not np.isfinite(sample.flow[sample.valid]).all():
        return PairCheck((Problem("error", sample.key, "the flow is not finite where it is valid"),))
    figures = _figures(sample.flow, sample.valid, sample.occluded)
    figures = replace(figures, after_warping=difference_after_warping(sample))
    return PairCheck(tuple(_problems_of_truth(Path(sample.key), figures)), figures)


def _absent(paths: PairPaths) -> list[Problem]:
    problems = []
    for file in paths.files:
        try:
            check_file(file)
        except _UNREADABLE as error:
            problems.append(_unreadable(file, error))
    return problems


def _problems_apart(paths: PairPaths) -> list[Problem]:
    """Of each file by itself, so that one does not hide what is wrong with another."""
    problems: list[Problem] = []
    sizes: dict[Path, Size] = {}
    for file in dict.fromkeys(paths.files):
        try:
            sizes[file], found = _read_alone(paths, file)
        except _UNREADABLE as error:
            problems.append(_unreadable(file, error))
        else:
            problems += found
    return problems + _odd_sizes(sizes)


def _read_alone(paths: PairPaths, file: Path) -> tuple[Size, list[Problem]]:
    """The size of the pictures that the file goes with, and what is wrong with what it holds."""
    if file in (paths.image1, paths.image2):
        return read_image(file).shape[:2], []
    if file in (paths.flow, paths.visible):
        flow, valid = (array[:: paths.flow_step, :: paths.flow_step] for array in read_flow(file))
        return valid.shape, _problems_of_truth(file, _figures(flow, valid)) if file == paths.flow else []
    mask = read_mask_npy(file) if file.suffix == ".npy" else read_mask(file)
    return mask.shape, []


def _odd_sizes(sizes: dict[Path, Size]) -> list[Problem]:
    """The files that differ from most of their pair; where there are two of each, from its first picture."""
    most = Counter(sizes.values()).most_common(1)
    return [
        Problem("error", str(file), f"is {_shown(size)}, but the other files of its pair are {_shown(most[0][0])}")
        for file, size in sizes.items()
        if size != most[0][0]
    ]


def _figures(flow: np.ndarray, valid: np.ndarray, occluded: np.ndarray | None = None) -> PairFigures:
    known = flow.reshape(-1, 2) if valid.all() else flow[valid]
    lengths = np.hypot(known[:, 0], known[:, 1])
    return PairFigures(
        size=valid.shape,
        valid=lengths.size,
        longest=float(lengths.max(initial=0)),
        total=float(lengths.sum(dtype=np.float64)),
        occluded=None if occluded is None else int(np.count_nonzero(occluded & valid)),
    )


def _problems_of_truth(file: Path, figures: PairFigures) -> list[Problem]:
    problems = []
    lost = 0 if figures.valid == math.prod(figures.size) else _not_finite(file)
    if not figures.valid:
        numbers = f", and {lost} of its values are not finite" if lost else ""
        problems.append(Problem("error", str(file), f"no pixel's flow is known{numbers}"))
    elif lost:
        what = f"{lost} values of the flow are not finite; their pixels count as unknown"
        problems.append(Problem("warning", str(file), what))
    diagonal = math.hypot(*figures.size)
    if figures.longest > diagonal:
        what = f"flow of {figures.longest:.0f} px, longer than the picture's diagonal of {diagonal:.0f} px"
        problems.append(Problem("warning", str(file), what))
    return problems


def _not_finite(file: Path) -> int:
    """How many values of the file are no finite numbers, though its format has no such mark."""
    read = _READERS_AS_STORED.get(file.suffix.lower())
    return 0 if read is None else int(np.count_nonzero(~np.isfinite(read(file))))


def _unreadable(file: Path, error: Exception) -> Problem:
    return Problem("error", str(file), str(error).removeprefix(f"{file}: "))


def _shown(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
