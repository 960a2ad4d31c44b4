"""Submission formats of the benchmarks' servers: names, files and bundles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from flowbench.data.datamodule import FlowDataModule
from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.data.sets.kitti import Kitti, Kitti2012
from flowbench.data.sets.sintel import Sintel
from flowbench.data.sets.spring import Spring
from flowbench.errors import FlowBenchError
from flowbench.io import Frame, write_flow
from flowbench.io.names import inside
from flowbench.structures import FlowDataset

FOLDER = "submission"

# What KITTI's 16 bits hold, in pixels (see io.kitti_png).
_LEAST, _LARGEST = -(2**15) / 64, (2**15 - 1) / 64


@dataclass(frozen=True)
class Server:
    """What a benchmark's server takes.

    file_of: a pair's file, relative to the submission's folder; its suffix is its format. next_step: how the finished
    folder, {folder}, becomes what is uploaded.
    """

    file_of: Callable[[PairPaths], str]
    next_step: str


def _sintel_file(pair: PairPaths) -> str:
    # frame0001.flo for the picture frame_0001.png.
    _, pass_name, scene, frame = pair.key.split("/")
    return f"{pass_name}/{scene}/{frame.replace('_', '')}.flo"


def _kitti_file(pair: PairPaths) -> str:
    return f"flow/{pair.image1.stem}.png"


def _kitti2012_file(pair: PairPaths) -> str:
    return f"{pair.image1.stem}.png"


def _spring_file(pair: PairPaths) -> str:
    _, sequence, name, frame = pair.key.split("/")
    return f"{sequence}/{name}/{name}_{frame}.flo5"


SERVERS: Mapping[type[PairFiles], Server] = MappingProxyType(
    {
        # The bundler comes with the complete data set.
        Sintel: Server(
            _sintel_file,
            "bundle it with the data set's own tool, bundler '{folder}/clean' '{folder}/final' sintel.lzma, and upload "
            "sintel.lzma at sintel.is.tue.mpg.de",
        ),
        # The development kit of 2015: a folder "flow" in the archive's root.
        Kitti: Server(
            _kitti_file,
            "pack it, (cd '{folder}' && zip -r ../kitti2015.zip flow), and upload kitti2015.zip at cvlibs.net/datasets/kitti",
        ),
        # The development kit of 2012: the files in the archive's root.
        Kitti2012: Server(
            _kitti2012_file,
            "pack it, (cd '{folder}' && zip ../kitti2012.zip *.png), and upload kitti2012.zip at cvlibs.net/datasets/kitti",
        ),
        # The tool reads both cameras in both directions, at the pictures' size, and keeps a sample of the pixels.
        Spring: Server(
            _spring_file,
            "run the benchmark's own tool, flow_subsampling '{folder}', and upload the flow_submission.hdf5 that it "
            "writes at spring-benchmark.org",
        ),
    }
)


def submission_sets(data: FlowDataModule) -> tuple[Server, dict[str, PairFiles]]:
    """The server that takes results on the data, and the data sets that it takes them on.

    Raises FlowBenchError where there is no server, or the pictures are not there.
    """
    server = server_of(data.name, data.submission.values())
    return server, {
        name: samples for name, samples in data.split("submission").items() if isinstance(samples, PairFiles)
    }


def server_of(name: str, data_sets: Iterable[FlowDataset]) -> Server:
    """The server that takes results on these data sets, the submission split of the data `name`.

    Raises FlowBenchError where there is none, or several.
    """
    found = [_server(samples) for samples in data_sets]
    servers = [server for server in found if server is not None]
    if not found or len(servers) < len(found):
        titles = ", ".join(data_set.title for data_set in SERVERS)
        raise FlowBenchError(f"No server takes results on data={name}: submissions are for {titles}.")
    if any(server is not servers[0] for server in servers):
        raise FlowBenchError(f"data={name} holds pairs of several benchmarks: submit to one at a time.")
    return servers[0]


def _server(samples: FlowDataset) -> Server | None:
    return next((SERVERS[kind] for kind in type(samples).__mro__ if kind in SERVERS), None)


def expected_files(server: Server, samples: PairFiles) -> dict[str, PairPaths]:
    """The files that the server takes for a data set, relative to the submission's folder, each with its pair."""
    return {server.file_of(pair): pair for pair in samples.pairs}


def shortfall(data_sets: Mapping[str, PairFiles]) -> Iterator[str]:
    """A sentence on each data set that has not as many pairs as its authors give: its submission would be refused."""
    for name, samples in data_sets.items():
        published = samples.published_count()
        if published is not None and len(samples) != published:
            yield f"{name}: the server wants {published} pairs, but {len(samples)} were found in '{samples.root}'."


class SubmissionFiles:
    """A sink that writes each flow as the server wants it, and clips what its format cannot hold.

    The frames are named by the keys of their pairs.
    """

    def __init__(self, path: Path, server: Server, data_sets: Iterable[PairFiles]) -> None:
        self.path = path
        self._files = {
            pair.key: name for samples in data_sets for name, pair in expected_files(server, samples).items()
        }
        self._written = self._clipped_files = self._clipped_pixels = 0

    def __call__(self, frame: Frame, flow: np.ndarray) -> None:
        name = self._files[frame.name]
        write_flow(inside(self.path, name), self._clipped(flow) if name.endswith(".png") else flow)
        self._written += 1

    def notes(self) -> Iterator[str]:
        """What was written, as far as it is not what the server wants."""
        if self._written < len(self._files):
            yield f"The submission is not complete: {self._written} of {len(self._files)} files were written."
        if self._clipped_pixels:
            yield (
                f"Warning: {self._clipped_pixels} pixels in {self._clipped_files} files were clipped to KITTI's range, "
                f"{_LEAST:.0f} to {_LARGEST:.2f} px: look at these predictions."
            )

    def _clipped(self, flow: np.ndarray) -> np.ndarray:
        clipped = np.clip(flow, _LEAST, _LARGEST)
        beyond = int(np.count_nonzero((clipped != flow).any(axis=-1)))
        self._clipped_files += beyond > 0
        self._clipped_pixels += beyond
        return clipped
