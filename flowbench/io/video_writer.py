"""Videos, written one frame at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.io.video import open_capture

# Browsers play VP8; VP9 takes OpenCV four times as long for the same quality, and nothing else that it encodes everywhere
# do they play.
_CODECS = {".webm": "VP80", ".mp4": "mp4v", ".avi": "MJPG"}
# Frames per second. WebM counts milliseconds, and OpenCV writes files that nobody can read for less than one in five seconds.
SLOWEST, FASTEST = 0.5, 1000.0


@contextmanager
def write_video(path: str | Path, fps: float) -> Iterator[VideoWriter]:
    """A video that is complete when the block ends well, and absent otherwise.

    By the suffix, .webm (VP8, which browsers play), .mp4 (MPEG-4, which they do not) or .avi (Motion JPEG).

        with write_video("flow.webm", fps=25) as video:
            video.write(frame)

    Raises FlowBenchError, naming the file, for an unknown suffix, a speed below 0.5 or above 1000, a codec that this
    OpenCV lacks, no frame at all, or frames that did not reach the disk.
    """
    path = Path(path)
    if path.suffix.lower() not in _CODECS:
        raise FlowBenchError(f"{path}: unknown suffix {path.suffix!r} for a video. Known: {', '.join(_CODECS)}.")
    if not SLOWEST <= fps <= FASTEST:
        raise FlowBenchError(
            f"{path}: {fps:g} frames per second; {SLOWEST:g} to {FASTEST:g} are needed. Choose with fps=."
        )
    with written_aside(path) as aside:
        writer = VideoWriter(path, aside, float(fps))
        try:
            yield writer
        finally:
            writer.release()
        _check_complete(path, aside, writer.count)


def can_write(suffix: str) -> bool:
    """Whether the OpenCV that is installed has the codec of the suffix."""
    with tempfile.TemporaryDirectory() as folder:
        writer = _writer(Path(folder) / f"probe{suffix}", _CODECS[suffix], 24.0, (64, 64))
        opened = writer.isOpened()
        writer.release()
        return opened


class VideoWriter:
    """The writer that `write_video` yields; count: frames written so far."""

    def __init__(self, path: Path, aside: Path, fps: float):
        self.count = 0
        self._path, self._aside, self._fps = path, aside, fps
        self._shape: tuple[int, ...] | None = None
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: np.ndarray) -> None:
        """Appends (H, W, 3) uint8 RGB; the first frame decides the size, and an odd side is extended by one pixel.

        Raises FlowBenchError for an array of another kind or size, or when this OpenCV lacks the codec.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise FlowBenchError(
                f"{self._path}: frame of {frame.shape}, {frame.dtype}; (height, width, 3) uint8 needed."
            )
        if frame.shape != (self._shape or frame.shape):
            raise FlowBenchError(f"{self._path}: frame {self.count} has shape {frame.shape}, the first {self._shape}.")
        self._shape = frame.shape
        # Both codecs need even sides, and OpenCV would cut a row or column off without a word.
        even = cv2.copyMakeBorder(frame, 0, frame.shape[0] % 2, 0, frame.shape[1] % 2, cv2.BORDER_REPLICATE)
        self._writer = self._writer or self._opened(width=even.shape[1], height=even.shape[0])
        self._writer.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))
        self.count += 1

    def release(self) -> None:
        if self._writer is not None:
            self._writer.release()

    def _opened(self, width: int, height: int) -> cv2.VideoWriter:
        codec = _CODECS[self._path.suffix.lower()]
        writer = _writer(self._aside, codec, self._fps, (width, height))
        if not writer.isOpened():
            raise FlowBenchError(
                f"{self._path}: OpenCV cannot write {codec} video here: its build lacks the codec, or the folder is "
                "not writable. Try another suffix, or write images instead."
            )
        return writer


def _writer(path: Path, codec: str, fps: float, size: tuple[int, int]) -> cv2.VideoWriter:
    with _silent_stderr():
        return cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """OpenCV prints, past every log level, that WebM has no number for VP8, and then writes it all the same."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_complete(path: Path, written: Path, count: int) -> None:
    # OpenCV drops frames without a word when the disk is full: the finished file must hold them all.
    if not count:
        raise FlowBenchError(f"{path}: no frame was given, so no video was written.")
    with open_capture(written) as capture:
        stored = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if stored != count:
        raise FlowBenchError(f"{path}: {stored} of {count} frames were stored. Is the disk full?")
