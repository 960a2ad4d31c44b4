"""Pairs of images on disk, the base of every data set of files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, TypedDict

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io import read_flow, read_image, read_mask
from flowbench.io.mask_npy import read_mask_npy
from flowbench.structures import FlowDataset, FlowSample


@dataclass(frozen=True)
class PairPaths:
    """The files of one pair.

    Args:
        image1: the first image.
        image2: the second image.
        flow: the ground truth from image1 to image2; None where it is withheld.
        key: the sample's name; its parent is the sequence, "sintel/clean/alley_1" of "sintel/clean/alley_1/frame_0007".
        visible: a second flow file, valid where the point is visible in image2, too (KITTI's flow_noc).
        occluded: a mask, as an image or .npy, set where the point is not visible in image2.
        invalid: a mask, as an image or .npy, set where the ground truth means nothing.
        flow_step: the flow is taken at every flow_step-th row and column (2 for Spring, stored at twice the size).
        white: the value of white in 16-bit images, see `read_image`.
    """

    key: str
    image1: Path
    image2: Path
    flow: Path | None = None
    visible: Path | None = None
    occluded: Path | None = None
    invalid: Path | None = None
    flow_step: int = 1
    white: int | None = None

    @property
    def files(self) -> list[Path]:
        """All files of the pair."""
        paths = (self.image1, self.image2, self.flow, self.visible, self.occluded, self.invalid)
        return [path for path in paths if path is not None]


class TruthPaths(TypedDict, total=False):
    """The paths of PairPaths that hold ground truth."""

    flow: Path
    visible: Path
    occluded: Path
    invalid: Path


class PairFiles(FlowDataset):
    """A data set of files: subclasses list them with `list_pairs`, and this class reads them.

    Nothing is read or listed before the first use, so that a data set that is not needed may be missing.

    Args:
        root: the folder that holds `tree`.
        at_most: so many pairs, evenly spaced over the data set; None for all.
    """

    # As the field writes it.
    title: ClassVar[str]
    # What lies under the root, for the error's reader.
    tree: ClassVar[str]
    # The key of a config that says where the root is.
    root_key: ClassVar[str]
    # Whether the ground truth is known at some pixels only.
    sparse: bool = False

    def __init__(self, root: str | Path, *, at_most: int | None = None) -> None:
        if at_most is not None and at_most < 1:
            raise FlowBenchError(f"{self.title}: at_most={at_most}: a whole number above zero, or null for all pairs.")
        self.root = Path(root)
        self.at_most = at_most

    @abstractmethod
    def list_pairs(self) -> list[PairPaths]:
        """All pairs, in their order; the root is there."""

    def published_count(self) -> int | None:
        """The number of pairs that the authors state for this choice; None where they state none."""
        return None

    @property
    def tree_found(self) -> str | None:
        """The folder tree that lies under the root, for data sets with several; None for others."""
        return None

    @property
    def left_out(self) -> Sequence[str]:
        """A sentence per kind of file that belongs to no pair, for data sets that do not know their files by name."""
        return ()

    @cached_property
    def all_pairs(self) -> Sequence[PairPaths]:
        """All pairs of the choice, without regard to at_most."""
        self.folder(".")
        found = self.list_pairs()
        if not found:
            raise FlowBenchError(f"{self.title}: no pairs in '{self.root}'. {self.expectation()}")
        return found

    @cached_property
    def pairs(self) -> Sequence[PairPaths]:
        """The pairs of the data set."""
        if self.at_most is None or self.at_most >= len(self.all_pairs):
            return self.all_pairs
        return [self.all_pairs[number * len(self.all_pairs) // self.at_most] for number in range(self.at_most)]

    def folder(self, name: str) -> Path:
        """A folder that must lie under the root. Raises FlowBenchError, with the expected tree, where it does not."""
        path = self.root / name
        if not path.is_dir():
            raise FlowBenchError(f"{self.title}: there is no folder '{path}'. {self.expectation()}")
        return path

    def expectation(self) -> str:
        """What to do where the files are not found."""
        return (
            f"Set {self.root_key}=<folder>, or the environment variable FLOWBENCH_DATA to the folder that holds all data "
            f"sets; under it is expected:\n{self.tree}"
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> FlowSample:
        return read_pair(self.pairs[index])


def read_pair(paths: PairPaths) -> FlowSample:
    """The pair with its ground truth; without it the flow is zero and nowhere valid.

    Raises FlowBenchError, naming the file, for one that cannot be read or has another size than the first image, and for
    ground truth without a known pixel: nothing can be learnt or measured there.
    """
    image1, image2 = (read_image(image, white=paths.white) for image in (paths.image1, paths.image2))
    size = image1.shape[:2]
    _check_size(paths, paths.image2, image2.shape[:2], size)
    if paths.flow is None:
        return FlowSample(image1, image2, np.zeros((*size, 2), np.float32), np.zeros(size, bool), None, paths.key)
    flow, valid = _read_truth(paths, paths.flow, size)
    if paths.invalid is not None:
        valid = valid & ~_read_mask(paths, paths.invalid, size)
    if not valid.any():
        raise FlowBenchError(
            f"{paths.flow}: the flow of pair {paths.key} is known at no pixel. Write it again or take the pair out of "
            "the data; the program doctor lists all such files."
        )
    return FlowSample(image1, image2, flow, valid, _occluded(paths, valid, size), paths.key)


def _occluded(paths: PairPaths, valid: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    if paths.occluded is not None:
        return _read_mask(paths, paths.occluded, size)
    if paths.visible is not None:
        return valid & ~_read_truth(paths, paths.visible, size)[1]
    return None


def _read_truth(paths: PairPaths, file: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    flow, valid = read_flow(file)
    if paths.flow_step > 1:
        every = slice(None, None, paths.flow_step)
        flow, valid = np.ascontiguousarray(flow[every, every]), np.ascontiguousarray(valid[every, every])
    _check_size(paths, file, flow.shape[:2], size)
    return flow, valid


def _read_mask(paths: PairPaths, file: Path, size: tuple[int, int]) -> np.ndarray:
    mask = read_mask_npy(file) if file.suffix == ".npy" else read_mask(file)
    _check_size(paths, file, mask.shape, size)
    return mask


def _check_size(paths: PairPaths, file: Path, found: tuple[int, ...], size: tuple[int, int]) -> None:
    if tuple(found) != tuple(size):
        raise FlowBenchError(
            f"{file} is {found[1]}x{found[0]}, but {paths.image1} is {size[1]}x{size[0]}: the files of a pair must have one "
            "size."
        )
