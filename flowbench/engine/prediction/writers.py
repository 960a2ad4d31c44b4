"""Writers of predictions: flow files, colour images, a video of frames and flow side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from flowbench.io import Frame, write_flow, write_image, write_video
from flowbench.io.names import inside
from flowbench.io.video_writer import VideoWriter, can_write
from flowbench.report.colour import flow_to_image, wheel_image
from flowbench.report.drawing import BACKGROUND, CAPTION_HEIGHT, captioned, grid, scaled

log = logging.getLogger(__name__)

# The widths between which a frame is shown in the video: captions stay readable, and two fit on a screen.
_NARROWEST, _WIDEST = 256, 1280


class Sink(Protocol):
    """Takes each frame with the flow (H, W, 2), pixels, that starts from it. path: the folder or file that it fills."""

    @property
    def path(self) -> Path: ...

    def __call__(self, frame: Frame, flow: np.ndarray) -> None: ...


class PairSink(Protocol):
    """Takes each first frame of a pair with the flow (H, W, 2), pixels, that starts from it, and where there is a flow back,
    the pixels (H, W) bool that are occluded in the second. path: as of a Sink."""

    @property
    def path(self) -> Path: ...

    def __call__(self, frame: Frame, flow: np.ndarray, occluded: np.ndarray | None) -> None: ...


@dataclass(frozen=True)
class OcclusionMasks:
    """Writes <path>/<frame>.png, white where a pixel of the frame is occluded in the other one of the pair."""

    path: Path

    def __call__(self, frame: Frame, flow: np.ndarray, occluded: np.ndarray | None) -> None:
        if occluded is not None:
            mask = np.repeat(np.uint8(255) * occluded[..., None], 3, axis=-1)
            write_image(inside(self.path, f"{frame.name}.png"), mask)


@dataclass(frozen=True)
class FlowFiles:
    """Writes <path>/<frame>.<file_format>, which is flo, png (KITTI) or npz."""

    path: Path
    file_format: str

    def __call__(self, frame: Frame, flow: np.ndarray) -> None:
        write_flow(inside(self.path, f"{frame.name}.{self.file_format}"), flow)


@dataclass(frozen=True)
class FlowPictures:
    """Writes <path>/<frame>.png, coloured up to max_flow pixels, by default up to each picture's longest flow."""

    path: Path
    max_flow: float | None

    def __call__(self, frame: Frame, flow: np.ndarray) -> None:
        write_image(inside(self.path, f"{frame.name}.png"), flow_to_image(flow, max_flow=self.max_flow))


def file_sinks(folder: Path, file_format: str, pictures: bool, max_flow: float | None, prefix: str = "") -> list[Sink]:
    """Those that fill <folder>/<prefix>flow, unless file_format is "none", and <folder>/<prefix>pictures."""
    sinks: list[Sink] = []
    if file_format != "none":
        sinks.append(FlowFiles(folder / f"{prefix}flow", file_format))
    if pictures:
        sinks.append(FlowPictures(folder / f"{prefix}pictures", max_flow))
    return sinks


def occlusion_masks(folder: Path, backward: bool) -> list[PairSink]:
    """Those that fill <folder>/occluded, where there is a backward flow to tell them by."""
    return [OcclusionMasks(folder / "occluded")] if backward else []


def video_suffix() -> str:
    """.webm, which browsers play; with a warning .mp4, which they do not, where OpenCV was built without VP8."""
    if can_write(".webm"):
        return ".webm"
    log.warning(
        "This OpenCV cannot write WebM (VP8): the video is an MPEG-4, which players show, but no browser. "
        "pip's opencv-python-headless can."
    )
    return ".mp4"


class SideBySideVideo:
    """A video of each frame beside its flow, coloured up to max_flow pixels, by default up to a `SteadyScale`."""

    def __init__(self, path: Path, video: VideoWriter, max_flow: float | None):
        self.path = path
        self._video = video
        self._scale = flow_scale(max_flow)

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, fps: float, max_flow: float | None) -> Iterator[SideBySideVideo]:
        """The video is complete when the block ends well, and absent otherwise."""
        with write_video(path, fps) as video:
            yield cls(path, video, max_flow)

    def __call__(self, frame: Frame, flow: np.ndarray) -> None:
        self._video.write(side_by_side(frame, flow, self._scale(flow)))


def side_by_side(frame: Frame, flow: np.ndarray, max_flow: float) -> np.ndarray:
    """The frame, named, beside its flow with the scale and a legend: uint8 RGB."""
    width = min(max(frame.image.shape[1], _NARROWEST), _WIDEST)
    wheel = wheel_image(CAPTION_HEIGHT - 2, background=BACKGROUND)
    colours = scaled(flow_to_image(flow, max_flow=max_flow), width)
    cells = [
        captioned(scaled(frame.image, width), frame.name),
        captioned(colours, f"flow, scale {max_flow:.1f} px", wheel),
    ]
    return grid(cells, rows=1)


def flow_scale(max_flow: float | None) -> Callable[[np.ndarray], float]:
    """Gives the length of the fullest colour for each flow: max_flow pixels, or by default a `SteadyScale`."""
    return SteadyScale() if max_flow is None else lambda flow: max_flow


class SteadyScale:
    """A colour scale that follows a video's motion without flicker.

    The running mean of the length that 99% of a flow's pixels stay below, so that neither a few wrong pixels nor a cut
    between two scenes spoils the colours for long; at least 1 px, so that the noise of a still scene stays pale.
    """

    _NEW_SHARE = 0.1
    _LEAST = 1.0

    def __init__(self) -> None:
        self._mean: float | None = None

    def __call__(self, flow: np.ndarray) -> float:
        """The scale in pixels for the next flow (H, W, 2) of the video."""
        length = float(np.quantile(np.linalg.norm(flow, axis=-1), 0.99))
        self._mean = length if self._mean is None else self._mean + self._NEW_SHARE * (length - self._mean)
        return max(self._mean, self._LEAST)
