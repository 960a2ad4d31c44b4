"""Frames of a video, a folder, a pattern or a list, one at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import cv2

from flowbench.errors import FlowBenchError
from flowbench.io.frames import Frame, FrameSource, is_pattern, open_images


def open_frames(source: str | Path | Sequence[str | Path]) -> FrameSource:
    """The frames of a video file, a folder of pictures, a glob pattern or a list of picture files.

    Nothing but the first frames is read before the source is iterated. Raises FlowBenchError, naming the source, when
    it does not exist, cannot be read, or holds fewer than two frames.
    """
    if not isinstance(source, str | Path) or is_pattern(str(source)) or os.path.isdir(source):
        return open_images(source)
    if not os.path.exists(source):
        raise FlowBenchError(f"{source}: no such video, folder or pattern. Check the path.")
    return VideoFrames(source)


class VideoFrames:
    """A video file: a FrameSource whose count is what the file's header claims."""

    def __init__(self, path: str | Path):
        """Raises FlowBenchError when the file is no readable video or holds fewer than two frames."""
        self.path = Path(path)
        with open_capture(self.path) as capture:
            self.count = _positive(capture.get(cv2.CAP_PROP_FRAME_COUNT), int)
            self.fps = _positive(capture.get(cv2.CAP_PROP_FPS), float)
        with closing(iter(self)) as frames:
            readable = len(list(islice(frames, 2)))
        if readable < 2:
            raise FlowBenchError(f"{self.path}: {readable} readable frames; flow needs at least two.")

    def __iter__(self) -> Iterator[Frame]:
        with open_capture(self.path) as capture:
            index = 0
            while True:
                found, image = capture.read()
                if not found:
                    return
                yield Frame(f"frame_{index:06d}", cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
                index += 1


@contextmanager
def open_capture(path: Path) -> Iterator[cv2.VideoCapture]:
    """OpenCV's reader of a video, released at the end. Raises FlowBenchError, naming the file, when it opens none."""
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise FlowBenchError(f"{path}: no readable video: damaged, no video at all, or a codec that OpenCV lacks.")
        yield capture
    finally:
        capture.release()


def _positive(value: float, kind: type) -> int | float | None:
    return kind(value) if 0 < value < math.inf else None
