"""Prediction over a split of a data set, or over the pairs whose truth a benchmark's server keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path

from omegaconf import DictConfig

from flowbench.configs import build
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.pair_files import PairFiles
from flowbench.engine.arguments import job_overrides
from flowbench.engine.composed_groups import chosen_data
from flowbench.engine.prediction_loop import PairStream, Prediction
from flowbench.engine.predictions import Sink, file_sinks
from flowbench.engine.submission import FOLDER, Server, SubmissionFiles, server_of, shortfall
from flowbench.errors import FlowBenchError
from flowbench.io import Frame
from flowbench.structures import FlowDataset


def prediction_of_data(config: DictConfig, folder: Path) -> Prediction:
    """What is predicted for data=<name> split=<split>, or with submission=true for its server.

    The files are named by the pairs' keys, and those of a submission as the server wants it. Raises FlowBenchError for data
    that is not there, has no such split, or has no server.
    """
    data = chosen_data_module(config)
    if config.submission:
        return _submission(config, folder, data)
    # Pictures without truth are nothing to test on, but to predict.
    untrue = config.split == "test" and not data.test and data.submission
    data_sets = data.split("submission" if untrue else config.split)
    return Prediction(
        stream=_stream(data_sets, config.limit),
        forward=nullcontext(_file_sinks(config, folder)),
        backward=_file_sinks(config, folder, prefix="backward_") if config.backward else [],
        protocol=data.protocol,
    )


def chosen_data_module(config: DictConfig) -> FlowDataModule:
    """The data of data=<name>. Raises FlowBenchError for a list of them."""
    names = chosen_data(job_overrides())
    if names:
        raise FlowBenchError(f"data=[{','.join(names)}]: one data set at a time, for instance data={names[0]}.")
    return build(config.data)


def submission_sets(data: FlowDataModule) -> tuple[Server, Mapping[str, PairFiles]]:
    """The server that takes results on the data, and the data sets that it takes them on.

    Raises FlowBenchError where there is no server, or the pictures are not there.
    """
    server = server_of(data.name, data.submission.values())
    return server, {
        name: samples for name, samples in data.split("submission").items() if isinstance(samples, PairFiles)
    }


def _submission(config: DictConfig, folder: Path, data: FlowDataModule) -> Prediction:
    server, data_sets = submission_sets(data)
    files = SubmissionFiles(folder / FOLDER, server, data_sets.values())
    pictures = _file_sinks(config, folder, file_format="none")
    return Prediction(
        stream=_stream(data_sets, config.limit),
        forward=nullcontext([files, *pictures]),
        backward=[],
        protocol=data.protocol,
        notes=partial(_submission_notes, data.name, server, data_sets, files),
    )


def _submission_notes(
    name: str, server: Server, data_sets: Mapping[str, PairFiles], files: SubmissionFiles, pairs: int
) -> Iterator[str]:
    yield from files.notes()
    yield from shortfall(data_sets)
    yield f"Check it: python tools/check_submission.py data={name} submission='{files.path}'"
    yield f"Then {server.next_step.format(folder=files.path)}."


def _file_sinks(config: DictConfig, folder: Path, *, file_format: str | None = None, prefix: str = "") -> list[Sink]:
    # A submission may have thousands of pairs, which nobody looks at one by one.
    pictures = not config.submission if config.pictures == "auto" else config.pictures
    return file_sinks(folder, file_format or config.format, pictures, config.max_flow, prefix)


def _stream(data_sets: Mapping[str, FlowDataset], limit: int | None) -> PairStream:
    pairs = sum(len(samples) for samples in data_sets.values())
    return PairStream(
        runs=islice(_pairs_of(data_sets.values()), limit), pairs=pairs if limit is None else min(limit, pairs)
    )


def _pairs_of(data_sets: Iterable[FlowDataset]) -> Iterator[list[Frame]]:
    for samples in data_sets:
        for index in range(len(samples)):
            sample = samples[index]
            yield [Frame(sample.key, sample.image1), Frame(sample.key, sample.image2)]
