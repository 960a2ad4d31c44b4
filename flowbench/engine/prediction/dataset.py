"""Prediction over a split of a data set, or over the pairs whose ground truth a benchmark's server keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path

from flowbench.data.datamodule import FlowDataModule
from flowbench.data.pair_files import PairFiles
from flowbench.engine.config.groups import data_modules
from flowbench.engine.prediction.loop import PairStream, Prediction
from flowbench.engine.prediction.motion import motion_table
from flowbench.engine.prediction.page import prediction_page
from flowbench.engine.prediction.settings import PredictSettings
from flowbench.engine.prediction.submission import FOLDER, Server, SubmissionFiles, shortfall, submission_sets
from flowbench.engine.prediction.writers import Sink, file_sinks, occlusion_masks
from flowbench.io import Frame
from flowbench.programs import typed
from flowbench.structures import FlowDataset

# At which its pairs, which need not follow each other, are shown on the page.
_FPS = 2.0


def prediction_of_data(settings: PredictSettings, folder: Path) -> Prediction:
    """What is predicted for data=<name> split=<split>, or with submission=true for its server.

    The files are named by the pairs' keys, and those of a submission as the server wants it. Raises FlowBenchError for data
    that is not there, has no such split, or has no server.
    """
    (data,) = data_modules(settings.data)
    if settings.submission:
        return _submission(settings, folder, data)
    # Images without ground truth cannot be tested on, but predicted.
    untrue = settings.split == "test" and not data.test and data.submission
    data_sets = data.split("submission" if untrue else settings.split)
    return Prediction(
        stream=_stream(data_sets, settings.limit),
        forward=nullcontext(_file_sinks(settings, folder)),
        backward=_file_sinks(settings, folder, prefix="backward_") if settings.backward else [],
        motion=motion_table(settings, folder),
        title=f"Flow of {data.name}, {settings.split}",
        page=prediction_page(settings, folder),
        fps=settings.fps or _FPS,
        masks=occlusion_masks(folder, settings.backward),
        protocol=data.protocol,
    )


def _submission(settings: PredictSettings, folder: Path, data: FlowDataModule) -> Prediction:
    server, data_sets = submission_sets(data)
    files = SubmissionFiles(folder / FOLDER, server, data_sets.values())
    pictures = _file_sinks(settings, folder, file_format="none")
    return Prediction(
        stream=_stream(data_sets, settings.limit),
        forward=nullcontext([files, *pictures]),
        backward=[],
        motion=motion_table(settings, folder),
        title=f"Flow of {data.name}, {settings.split}",
        page=prediction_page(settings, folder),
        fps=settings.fps or _FPS,
        protocol=data.protocol,
        notes=partial(_submission_notes, data.name, server, data_sets, files),
    )


def _submission_notes(
    name: str, server: Server, data_sets: Mapping[str, PairFiles], files: SubmissionFiles, pairs: int
) -> Iterator[str]:
    yield from files.notes()
    yield from shortfall(data_sets)
    yield f"Check it: {typed('check_submission')} data={name} submission='{files.path}'"
    yield f"Then {server.next_step.format(folder=files.path)}."


def _file_sinks(
    settings: PredictSettings, folder: Path, *, file_format: str | None = None, prefix: str = ""
) -> list[Sink]:
    # A submission may have thousands of pairs, which nobody looks at one by one.
    pictures = not settings.submission if settings.pictures == "auto" else settings.pictures
    return file_sinks(folder, file_format or settings.format, pictures, settings.max_flow, prefix)


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
