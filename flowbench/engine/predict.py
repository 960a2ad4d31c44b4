"""Prediction of flow to files: from pictures, a video or a data set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from flowbench.engine.config.models import load_model, shipped_weights_for
from flowbench.engine.config.protocols import follow_protocol
from flowbench.engine.prediction.dataset import prediction_of_data
from flowbench.engine.prediction.loop import FPS_OF_PICTURES, PairStream, Prediction, Totals, predict_pairs
from flowbench.engine.prediction.motion import motion_table
from flowbench.engine.prediction.page import how_it_was_made, prediction_page
from flowbench.engine.prediction.predictor import frame_runs
from flowbench.engine.prediction.settings import PredictSettings
from flowbench.engine.prediction.warm_start import warm_start_lines
from flowbench.engine.prediction.writers import SideBySideVideo, Sink, file_sinks, occlusion_masks, video_suffix
from flowbench.engine.run import Run
from flowbench.engine.run.devices import chosen_device
from flowbench.io import FrameSource, open_frames
from flowbench.io.camera import CameraFrames
from flowbench.io.records import write_json
from flowbench.io.video import VideoFrames
from flowbench.io.video_writer import FASTEST, SLOWEST
from flowbench.models.base import FlowModel
from flowbench.pretrained import Weights
from flowbench.structures import EvalProtocol

VIDEO = "side_by_side"
SUMMARY = "summary.json"
# What to open first, of what there is.
_OPENED_FIRST = ("index.html", f"{VIDEO}.webm", f"{VIDEO}.mp4", "pictures")


@dataclass(frozen=True)
class PredictionResult:
    """What a prediction did.

    folder: holds flow/<frame>.<format>, pictures/<frame>.png, side_by_side.webm, motion.csv and index.html, and with
    backward=true backward_flow/<frame>.<format>, backward_pictures/<frame>.png and occluded/<frame>.png; <frame> is the one
    that the flow starts from, and for a data set the pair's key. With submission=true, submission/ holds the files that the
    server takes. written: those of them that were asked for. seconds: for all pairs, with reading and writing. mean_flow:
    the mean length of the vectors from first to second image, pixels. warm_start: with warm_start=true
    `warm_start_summary`, which <folder>/summary.json holds, too.
    """

    folder: Path
    written: list[Path]
    pairs: int
    seconds: float
    mean_flow: float
    warm_start: dict[str, Any] | None = None


def predict(settings: PredictSettings, run: Run) -> PredictionResult:
    """Predicts flow with a checkpoint, by default the shipped weights, for images and videos or for a data set.

    Holds batch_size + 1 frames at a time, however long the input is. A data set is predicted as its protocol has it.

        predict(PredictSettings(ckpt="best.ckpt", input="clip.mp4"), Run(Path("results")))

    Raises FlowBenchError for whatever the user can mend: checkpoint, input, data.
    """
    folder = Path(settings.output or run.folder)
    prediction = (_prediction_of_frames if settings.data is None else prediction_of_data)(settings, folder)
    weights = str(settings.ckpt) if settings.ckpt else shipped_weights_for(settings.model)
    model = _model(settings, weights, prediction.protocol)
    started = time.perf_counter()
    with prediction.forward as forward:
        totals = predict_pairs(settings, model, prediction, forward)
    written = [sink.path for sink in (*forward, *prediction.backward)]
    written += [sink.path for sink in (*prediction.masks, prediction.motion)]
    prediction.motion.write()
    if prediction.page is not None:
        video = next((sink.path for sink in forward if isinstance(sink, SideBySideVideo)), None)
        made = how_it_was_made(settings, model, str(weights), run)
        prediction.page.write(prediction.title, prediction.motion, made, prediction.fps, video)
        written.append(prediction.page.path)
    if totals.warm_start is not None:
        written.append(_write_summary(folder, totals))
    seconds = time.perf_counter() - started
    result = PredictionResult(folder, written, totals.pairs, seconds, totals.mean_flow, totals.warm_start)
    _print(result, prediction)
    return result


def _model(settings: PredictSettings, weights: str | Weights, protocol: EvalProtocol) -> FlowModel:
    device = chosen_device(settings.device)
    model, _ = load_model(weights, settings.model)
    follow_protocol(model, protocol)
    if settings.iterations is not None:
        model.set_iterations(settings.iterations)
    return model.to(device)


def _prediction_of_frames(settings: PredictSettings, folder: Path) -> Prediction:
    given = settings.input if isinstance(settings.input, str | Path) else [str(path) for path in settings.input or ()]
    source = open_frames(given, white=settings.white)
    # Every second frame at half the speed takes as long as all of them, as far as a video can be so slow.
    own = source.fps / settings.every if source.fps else FPS_OF_PICTURES
    fps = settings.fps or min(max(own, SLOWEST), FASTEST)
    called = ", ".join(given) if isinstance(given, list) else str(given)
    known = [count for count in (settings.limit, source.count and _pairs(source.count, settings)) if count]
    # The end of the input stays the end of what is taken from it: then a video's own count can be held against it.
    frames = islice(source, None, None, settings.every)
    frames = frames if settings.limit is None else islice(frames, settings.limit + settings.gap)
    sinks = partial(file_sinks, folder, settings.format, settings.pictures is not False, settings.max_flow)
    return Prediction(
        stream=PairStream(
            runs=frame_runs(frames, settings.batch_size, settings.gap),
            pairs=min(known, default=None),
            source=called,
            gap=settings.gap,
        ),
        forward=_with_video(settings, folder, source, fps, sinks()),
        backward=sinks("backward_") if settings.backward else [],
        motion=motion_table(settings, folder),
        title="Flow of " + ", ".join(Path(name).name for name in (given if isinstance(given, list) else [str(given)])),
        page=prediction_page(settings, folder),
        fps=fps,
        masks=occlusion_masks(folder, settings.backward),
        notes=partial(_notes, source, settings.limit is None),
    )


def _pairs(frames: int, settings: PredictSettings) -> int:
    return max(0, -(-frames // settings.every) - settings.gap)


@contextmanager
def _with_video(
    settings: PredictSettings, folder: Path, source: FrameSource, fps: float, sinks: list[Sink]
) -> Iterator[list[Sink]]:
    if not (isinstance(source, VideoFrames | CameraFrames) if settings.video == "auto" else settings.video):
        yield sinks
        return
    path = folder / f"{VIDEO}{video_suffix()}"
    with SideBySideVideo.open(path, fps=fps, max_flow=settings.max_flow) as video:
        yield [*sinks, video]


def _notes(source: FrameSource, to_the_end: bool, pairs: int) -> Iterator[str]:
    if not isinstance(source, VideoFrames):
        return
    if to_the_end and source.count not in (None, source.read):
        yield f"The video's header claims {source.count} frames, but {source.read} could be read."
    if source.repeated:
        yield (
            f"Warning: {source.repeated} of {source.read} frames are the same as the frame before: nothing moves there, or "
            "OpenCV could not decode them."
        )


def _write_summary(folder: Path, totals: Totals) -> Path:
    write_json(
        folder / SUMMARY, {"pairs": totals.pairs, "mean_flow": totals.mean_flow, "warm_start": totals.warm_start}
    )
    return folder / SUMMARY


def _print(result: PredictionResult, prediction: Prediction) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    speed = f"{result.pairs / result.seconds:.2f} pairs/s with reading and writing"
    console.print(f"{result.pairs} pairs in {result.seconds:.1f} s ({speed}), mean |flow| {result.mean_flow:.2f} px")
    for line in () if result.warm_start is None else warm_start_lines(result.warm_start, result.pairs):
        console.print(line)
    for path in result.written:
        console.print(f"{path.stem.replace('_', ' ')}: {path}")
    by_name = {path.name: path for path in result.written}
    first = next((by_name[name] for name in _OPENED_FIRST if name in by_name), None)
    if first is not None:
        console.print(f"Open first: {first}")
    for note in prediction.notes(result.pairs):
        console.print(note)
