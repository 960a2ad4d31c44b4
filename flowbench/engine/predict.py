"""Prediction of flow from pictures or a video to files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig
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

from flowbench.engine.devices import chosen_device
from flowbench.engine.effort import ColdComparison, warm_start_lines, warm_start_summary
from flowbench.engine.models import load_model
from flowbench.engine.pairs import PairPredictor, frame_runs
from flowbench.engine.predictions import FlowFiles, FlowPictures, SideBySideVideo, Sink
from flowbench.errors import FlowBenchError
from flowbench.io import Frame, FrameSource, open_frames
from flowbench.io.records import write_json
from flowbench.io.video import VideoFrames
from flowbench.models.base import FlowModel

VIDEO = "side_by_side.mp4"
SUMMARY = "summary.json"
_CHOICES = {
    "format": ("flo", "png", "npz", "none"),
    "video": ("auto", True, False),
    "precision": (32, "bf16", 16),
    "pictures": (True, False),
    "backward": (True, False),
    "warm_start": (True, False),
    "compare_cold": (True, False),
}
_COUNTS = {"batch_size": int, "iterations": int | None, "limit": int | None}
_AMOUNTS = {"fps": int | float | None, "max_flow": int | float | None}
_FPS_OF_PICTURES = 24.0


@dataclass(frozen=True)
class PredictionResult:
    """What a prediction did.

    folder: holds flow/<frame>.<format>, pictures/<frame>.png and side_by_side.mp4, and with backward=true
    backward_flow/<frame>.<format> and backward_pictures/<frame>.png; <frame> is the one that the flow starts from.
    written: those of them that were asked for. seconds: for all pairs, with reading and writing. mean_flow: the mean
    length of the vectors from first to second image, pixels. warm_start: with warm_start=true `warm_start_summary`, which
    <folder>/summary.json holds, too.
    """

    folder: Path
    written: list[Path]
    pairs: int
    seconds: float
    mean_flow: float
    warm_start: dict[str, Any] | None = None


def predict(config: DictConfig) -> PredictionResult:
    """Predicts flow for input=<video | folder | pattern | [a.png,b.png]> with +ckpt=<ours or official>.

    Holds batch_size + 1 frames at a time, however long the input is. Raises FlowBenchError for whatever the user can
    mend: settings, checkpoint, input.
    """
    _check(config)
    source = open_frames(_paths(config.input))
    model = _model(config)
    folder = Path(config.output or HydraConfig.get().runtime.output_dir)
    backward = _file_sinks(config, folder, prefix="backward_") if config.backward else []
    started = time.perf_counter()
    with _forward_sinks(config, folder, source) as forward:
        totals = _predict_pairs(config, model, source, forward, backward)
    written = [sink.path for sink in (*forward, *backward)]
    if totals.warm_start is not None:
        written.append(_write_summary(folder, totals))
    seconds = time.perf_counter() - started
    result = PredictionResult(folder, written, totals.pairs, seconds, totals.mean_flow, totals.warm_start)
    _tell(result, claimed_frames=source.count if config.limit is None else None)
    return result


def _check(config: DictConfig) -> None:
    if not config.get("ckpt"):
        raise FlowBenchError("No checkpoint was given, and fresh weights would predict noise: add +ckpt=<file>.")
    if not config.input:
        raise FlowBenchError("No input was given: add input=<video | folder | pattern | [a.png,b.png]>.")
    for name, choices in _CHOICES.items():
        if config[name] not in choices:
            raise FlowBenchError(
                f"{name}={config[name]}: choose one of {', '.join(str(choice) for choice in choices)}."
            )
    for name, kind in (_COUNTS | _AMOUNTS).items():
        value = config[name]
        if not isinstance(value, kind) or (value is not None and value <= 0):
            raise FlowBenchError(f"{name}={value}: a {'whole ' * (name in _COUNTS)}number above zero is needed.")
    if config.warm_start and config.batch_size != 1:
        raise FlowBenchError(
            f"warm_start=true starts each pair from the one before, but batch_size={config.batch_size} computes them "
            "at once: set batch_size=1, or leave warm_start out."
        )
    if config.compare_cold and not config.warm_start:
        raise FlowBenchError(
            "compare_cold=true says what a warm start saved, but warm_start=false: add warm_start=true, or leave "
            "compare_cold out."
        )


def _paths(given: str | ListConfig) -> str | list[str]:
    return [str(path) for path in given] if isinstance(given, ListConfig) else str(given)


def _model(config: DictConfig) -> FlowModel:
    device = chosen_device(str(config.device))
    model, _ = load_model(config.ckpt, config.get("model"))
    if config.iterations is not None:
        model.set_iterations(config.iterations)
    return model.to(device)


def _file_sinks(config: DictConfig, folder: Path, prefix: str = "") -> list[Sink]:
    sinks = []
    if config.format != "none":
        sinks.append(FlowFiles(folder / f"{prefix}flow", config.format))
    if config.pictures:
        sinks.append(FlowPictures(folder / f"{prefix}pictures", config.max_flow))
    return sinks


@contextmanager
def _forward_sinks(config: DictConfig, folder: Path, source: FrameSource) -> Iterator[list[Sink]]:
    sinks = _file_sinks(config, folder)
    if not (isinstance(source, VideoFrames) if config.video == "auto" else config.video):
        yield sinks
        return
    fps = config.fps or source.fps or _FPS_OF_PICTURES
    with SideBySideVideo.open(folder / VIDEO, fps=fps, max_flow=config.max_flow) as video:
        yield [*sinks, video]


@dataclass
class _Totals:
    pairs: int = 0
    length: float = 0.0
    vectors: int = 0
    warm_start: dict[str, Any] | None = None

    @property
    def mean_flow(self) -> float:
        return self.length / max(self.vectors, 1)

    def add(self, flow: np.ndarray) -> None:
        self.pairs += flow.shape[0]
        self.length += float(np.linalg.norm(flow, axis=-1).sum(dtype=np.float64))
        self.vectors += flow[..., 0].size


def _predict_pairs(
    config: DictConfig, model: FlowModel, source: FrameSource, forward: Sequence[Sink], backward: Sequence[Sink]
) -> _Totals:
    predict_forward = PairPredictor(model, precision=config.precision, warm_start=config.warm_start)
    # The flow from second to first image cannot be carried on to the next pair: it starts afresh in each.
    predict_backward = PairPredictor(model, precision=config.precision)
    compare = _comparison(config, model)
    frames = source if config.limit is None else islice(source, config.limit + 1)
    totals = _Totals()
    with _progress(source, config.limit) as advance:
        for run in frame_runs(frames, config.batch_size):
            images = np.stack([frame.image for frame in run])
            with _naming(config.input, run[0]):
                flow = predict_forward(images[:-1], images[1:])
                backward_flow = predict_backward(images[1:], images[:-1]) if backward else []
                if compare is not None:
                    compare(images[:-1], images[1:], flow)
            _give(forward, run[:-1], flow)
            _give(backward, run[1:], backward_flow)
            totals.add(flow)
            advance(len(flow))
    if config.warm_start:
        totals.warm_start = warm_start_summary(predict_forward.efforts, compare)
    return totals


def _comparison(config: DictConfig, model: FlowModel) -> ColdComparison | None:
    if not config.compare_cold:
        return None
    predict_cold = PairPredictor(model, precision=config.precision)
    return ColdComparison(predict_cold, predict_cold.efforts)


def _write_summary(folder: Path, totals: _Totals) -> Path:
    write_json(
        folder / SUMMARY, {"pairs": totals.pairs, "mean_flow": totals.mean_flow, "warm_start": totals.warm_start}
    )
    return folder / SUMMARY


@contextmanager
def _naming(given: str | ListConfig, frame: Frame) -> Iterator[None]:
    """A model's error knows no file; the user wants to know it."""
    try:
        yield
    except FlowBenchError as error:
        raise FlowBenchError(f"{_shown(given)}, from frame {frame.name}: {error}") from error


def _shown(given: str | ListConfig) -> str:
    return ", ".join(str(path) for path in given) if isinstance(given, ListConfig) else str(given)


def _give(sinks: Sequence[Sink], frames: Sequence[Frame], flows: Iterable[np.ndarray]) -> None:
    for frame, flow in zip(frames, flows):
        for sink in sinks:
            sink(frame, flow)


@contextmanager
def _progress(source: FrameSource, limit: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal; gives what advances it by a number of pairs."""
    known = [count for count in (limit, source.count and source.count - 1) if count]
    columns = (TextColumn("pairs"), BarColumn(), MofNCompleteColumn(), _PairsPerSecond(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("pairs", total=min(known, default=None))
        yield lambda pairs: progress.advance(task, pairs)


class _PairsPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.2f} pairs/s")


def _tell(result: PredictionResult, claimed_frames: int | None) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if claimed_frames not in (None, result.pairs + 1):
        console.print(f"The video's header claims {claimed_frames} frames, but {result.pairs + 1} could be read.")
    speed = f"{result.pairs / result.seconds:.2f} pairs/s with reading and writing"
    console.print(f"{result.pairs} pairs in {result.seconds:.1f} s ({speed}), mean |flow| {result.mean_flow:.2f} px")
    for line in () if result.warm_start is None else warm_start_lines(result.warm_start, result.pairs):
        console.print(line)
    for path in result.written:
        console.print(f"{path.stem.replace('_', ' ')}: {path}")
