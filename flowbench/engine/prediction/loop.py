"""A model over pairs of frames, into files: what the predictions of videos and of data sets share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from flowbench.engine.prediction.motion import MotionTable
from flowbench.engine.prediction.page import PredictionPage
from flowbench.engine.prediction.predictor import PairPredictor
from flowbench.engine.prediction.settings import PredictSettings
from flowbench.engine.prediction.warm_start import ColdComparison, warm_start_summary
from flowbench.engine.prediction.writers import PairSink, Sink
from flowbench.errors import FlowBenchError
from flowbench.io import Frame
from flowbench.models.base import FlowModel
from flowbench.models.cascade import chosen_cascade
from flowbench.ops.occlusion import occluded_pixels
from flowbench.structures import EvalProtocol

# At which images of no known speed are shown.
FPS_OF_PICTURES = 24.0


@dataclass(frozen=True)
class PairStream:
    """Pairs one after the other.

    runs: of frames of one size, each of which makes a pair with the one that comes `gap` later. pairs: how many there are,
    None where nobody knows. source: what the user called it; None for a data set, whose frames bear their pairs' keys.
    """

    runs: Iterable[list[Frame]]
    pairs: int | None
    source: str | None = None
    gap: int = 1

    def describe(self, frame: Frame) -> str:
        """What an error calls the pair that starts with the frame."""
        return frame.name if self.source is None else f"{self.source}, from frame {frame.name}"

    def key(self, frame: Frame) -> str:
        """Of the pair that starts with the frame. Frames of a video are one sequence."""
        return frame.name if self.source is None else ""


@dataclass(frozen=True)
class Prediction:
    """What is predicted, and where it goes.

    forward, backward: what takes the flow to the second frame and from it; opened for as long as the prediction runs.
    motion: the numbers of the pairs. title: of the page. page: shows the pairs, where one was asked for, and plays at fps.
    masks: what takes the occluded pixels, where there is a flow from the second frame. protocol: the data set's. notes:
    lines to print after so many pairs.
    """

    stream: PairStream
    forward: AbstractContextManager[list[Sink]]
    backward: list[Sink]
    motion: MotionTable
    title: str
    page: PredictionPage | None = None
    fps: float = FPS_OF_PICTURES
    masks: list[PairSink] = field(default_factory=list)
    protocol: EvalProtocol = field(default_factory=EvalProtocol)
    notes: Callable[[int], Iterable[str]] = lambda pairs: ()


@dataclass
class Totals:
    """Over all pairs. length: of all vectors, pixels. warm_start: `warm_start_summary`, where there was a warm start."""

    pairs: int = 0
    length: float = 0.0
    vectors: int = 0
    warm_start: dict[str, Any] | None = None

    @property
    def mean_flow(self) -> float:
        """The mean length of the vectors, pixels."""
        return self.length / max(self.vectors, 1)

    def add(self, flow: np.ndarray) -> None:
        """Adds flow (B, H, W, 2)."""
        self.pairs += flow.shape[0]
        self.length += float(np.linalg.norm(flow, axis=-1).sum(dtype=np.float64))
        self.vectors += flow[..., 0].size


def predict_pairs(
    settings: PredictSettings, model: FlowModel, prediction: Prediction, forward: Sequence[Sink]
) -> Totals:
    """Gives the flow of each pair to the sinks; holds one run of frames at a time.

    Args:
        settings: of the prediction.
        model: what estimates.
        prediction: the pairs, and where the results go.
        forward: the prediction's, opened.

    Raises FlowBenchError, which names the pair, where the model does, and where there is no pair.
    """
    stream, gap = prediction.stream, prediction.stream.gap
    page = [] if prediction.page is None else [prediction.page]
    per_pair: list[PairSink] = [*prediction.masks, prediction.motion, *page]
    cascade = chosen_cascade(settings.cascade)
    predict_forward = PairPredictor(
        model,
        precision=settings.precision,
        warm_start=settings.warm_start,
        cascade=cascade,
        sizes=settings.sizes,
    )
    # The flow from second to first image cannot be carried on to the next pair: it starts afresh in each.
    predict_backward = PairPredictor(model, precision=settings.precision, cascade=cascade, sizes=settings.sizes)
    compare = _comparison(settings, model)
    totals = Totals()
    with _progress(stream.pairs) as advance:
        for run in stream.runs:
            images = np.stack([frame.image for frame in run])
            first, second = images[:-gap], images[gap:]
            with _naming(stream, run[0]):
                flow = predict_forward(first, second, stream.key(run[0]))
                backward = predict_backward(second, first) if settings.backward else None
                if compare is not None:
                    compare(first, second, flow)
            _give(forward, run[:-gap], flow)
            if backward is not None:
                _give(prediction.backward, run[gap:], backward)
            _give_pairs(per_pair, run[:-gap], flow, _occluded(settings, flow, backward))
            totals.add(flow)
            advance(len(flow))
    if not totals.pairs:
        raise FlowBenchError(
            f"{stream.source or 'the data'}: no pair was found with every={settings.every} and gap={settings.gap}: fewer "
            "frames are left than two. Lower them."
        )
    if settings.warm_start:
        totals.warm_start = warm_start_summary(predict_forward.costs, compare)
    return totals


def _comparison(settings: PredictSettings, model: FlowModel) -> ColdComparison | None:
    if not settings.compare_cold:
        return None
    predict_cold = PairPredictor(model, precision=settings.precision, sizes=settings.sizes)
    return ColdComparison(predict_cold, predict_cold.costs)


@contextmanager
def _naming(stream: PairStream, frame: Frame) -> Iterator[None]:
    """A model's error knows no file; the user wants to know it."""
    try:
        yield
    except FlowBenchError as error:
        raise FlowBenchError(f"{stream.describe(frame)}: {error}") from error


def _give(sinks: Sequence[Sink], frames: Sequence[Frame], flows: Iterable[np.ndarray]) -> None:
    for frame, flow in zip(frames, flows):
        for sink in sinks:
            sink(frame, flow)


def _give_pairs(
    sinks: Sequence[PairSink], frames: Sequence[Frame], flows: np.ndarray, occluded: Iterable[np.ndarray | None]
) -> None:
    for frame, flow, mask in zip(frames, flows, occluded):
        for sink in sinks:
            sink(frame, flow, mask)


def _occluded(settings: PredictSettings, flow: np.ndarray, backward: np.ndarray | None) -> Iterable[np.ndarray | None]:
    """A mask (H, W) of each flow (B, H, W, 2); None where there is no flow back."""
    if backward is None:
        return [None] * len(flow)
    forward_flow, backward_flow = (torch.from_numpy(each).permute(0, 3, 1, 2) for each in (flow, backward))
    return occluded_pixels(
        forward_flow,
        backward_flow,
        relative=settings.occlusion_relative,
        absolute=settings.occlusion_absolute,
    ).numpy()


@contextmanager
def _progress(pairs: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal; gives what advances it by a number of pairs."""
    columns = (TextColumn("pairs"), BarColumn(), MofNCompleteColumn(), _PairsPerSecond(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("pairs", total=pairs)
        yield lambda done: progress.advance(task, done)


class _PairsPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.2f} pairs/s")
