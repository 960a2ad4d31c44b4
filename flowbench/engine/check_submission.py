"""A check of a submission folder against what the benchmark's server takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.engine.config.groups import data_modules
from flowbench.engine.prediction.submission import Server, expected_files, shortfall, submission_sets
from flowbench.engine.run import Run
from flowbench.engine.run.settings import Settings
from flowbench.errors import FlowBenchError
from flowbench.io import read_image
from flowbench.io.flo import read_flo
from flowbench.io.flo5 import read_flo5
from flowbench.io.kitti_png import read_kitti_png

_PLAUSIBLE = 1000.0


@dataclass
class SubmissionCheck:
    """What was found in a folder; file names are relative to it.

    expected: how many files the server takes of each data set. missing, unexpected: files. wrong: a sentence on each other
    reason for which the server would refuse it or score it badly. doubtful: on what it would take, but nobody would want.
    """

    expected: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)

    @property
    def problems(self) -> int:
        """How many there are; what is only doubtful is none."""
        return len(self.missing) + len(self.unexpected) + len(self.wrong)


@dataclass(frozen=True, kw_only=True)
class CheckSubmissionSettings(Settings):
    """What `check_submission` takes; conf/check_submission.yaml has the same names and defaults."""

    data: DictConfig | None = None
    """The data set whose server it is for; it has to be given."""
    submission: str | Path | None = None
    """The folder that a prediction wrote; it has to be given."""

    def check(self) -> None:
        if self.data is None or "_target_" not in self.data:
            raise FlowBenchError("No data set was given: add data=<name>, for instance data=sintel.")
        if not self.submission:
            raise FlowBenchError("No folder was given: add submission=<folder>.")


def check_submission(settings: CheckSubmissionSettings, run: Run) -> SubmissionCheck:
    """Compares submission=<folder> with the images of data=<name>, and lists every problem on the terminal.

    Raises FlowBenchError, which sums them up, where there is any.
    """
    folder = Path(str(settings.submission))
    if not folder.is_dir():
        raise FlowBenchError(f"There is no folder '{folder}': give the one that prediction called submission.")
    (data,) = data_modules(settings.data)
    server, data_sets = submission_sets(data)
    found = checked_folder(folder, server, data_sets)
    _print(found)
    if found.problems:
        raise FlowBenchError(
            f"'{folder}' is no submission to {data.name} yet: {len(found.missing)} missing, "
            f"{len(found.unexpected)} unexpected, {len(found.wrong)} wrong. All are listed above."
        )
    _console().print(f"No problem found. Now {server.next_step.format(folder=folder)}.")
    return found


def checked_folder(folder: Path, server: Server, data_sets: Mapping[str, PairFiles]) -> SubmissionCheck:
    """Compares the folder with the files that the server takes of the data sets, and these with their pictures."""
    expected = {name: expected_files(server, samples) for name, samples in data_sets.items()}
    pairs = {file: pair for files in expected.values() for file, pair in files.items()}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    found = SubmissionCheck(
        expected={name: len(files) for name, files in expected.items()},
        missing=[file for file in pairs if file not in there],
        unexpected=sorted(there - pairs.keys()),
        wrong=list(shortfall(data_sets)),
    )
    present = [file for file in pairs if file in there]
    for file in track(present, "files", console=Console(stderr=True)):
        try:
            wrong, doubtful = _faults(folder / file, pairs[file])
        except FlowBenchError as error:
            wrong, doubtful = [str(error)], []
        found.wrong += wrong
        found.doubtful += doubtful
    return found


def _faults(path: Path, pair: PairPaths) -> tuple[list[str], list[str]]:
    """What is wrong and what is doubtful. Raises FlowBenchError for a file that cannot be read."""
    flow, valid = _READERS[path.suffix](path)
    height, width = read_image(pair.image1).shape[:2]
    wrong = []
    if flow.shape[:2] != (height, width):
        wrong.append(f"{path}: {flow.shape[1]}x{flow.shape[0]}, but its image is {width}x{height}.")
    if not valid.all():
        wrong.append(f"{path}: {np.count_nonzero(~valid)} pixels are marked as invalid; the server wants them all.")
    finite = np.isfinite(flow).all(axis=-1)
    if not finite.all():
        wrong.append(f"{path}: not finite at {np.count_nonzero(~finite)} pixels.")
    return wrong, list(_doubts(path, flow[finite]))


def _doubts(path: Path, vectors: np.ndarray) -> Iterator[str]:
    largest = np.abs(vectors).max(initial=0)
    if len(vectors) and largest == 0:
        yield f"{path}: no motion anywhere, all values are 0."
    if largest > _PLAUSIBLE:
        yield f"{path}: values up to {largest:.4g} px; is that meant?"


def _dense(read: Callable[[Path], np.ndarray]) -> Callable[[Path], tuple[np.ndarray, np.ndarray]]:
    def read_with_mask(path: Path) -> tuple[np.ndarray, np.ndarray]:
        flow = read(path)
        return flow, np.ones(flow.shape[:2], bool)

    return read_with_mask


# As they are stored: `io.read_flow` would take a value that is no number for one that is unknown.
_READERS = MappingProxyType({".flo": _dense(read_flo), ".flo5": _dense(read_flo5), ".png": read_kitti_png})


def _print(found: SubmissionCheck) -> None:
    console = _console()
    expected = ", ".join(f"{name} {count}" for name, count in found.expected.items())
    console.print(f"files that the server takes: {expected}")
    for title, files in (("missing", found.missing), ("unexpected", found.unexpected)):
        if files:
            console.print(f"{title}: {len(files)}")
        for line in _by_folder(files):
            console.print(f"  {line}")
    for title, sentences in (("wrong", found.wrong), ("doubtful", found.doubtful)):
        if sentences:
            console.print(f"{title}: {len(sentences)}")
        for sentence in sentences:
            console.print(f"  {sentence}")


def _by_folder(files: Iterable[str]) -> Iterator[str]:
    folders = defaultdict(list)
    for file in map(PurePosixPath, files):
        folders[file.parent].append(file.name)
    for folder, names in folders.items():
        yield f"{folder}/ ({len(names)}): {', '.join(names)}"


def _console() -> Console:
    return Console(highlight=False, markup=False, soft_wrap=True)
