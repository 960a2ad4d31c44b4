"""Frames of a video, a camera, a folder, a TIFF stack, a pattern or a list, one at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.camera import CameraFrames, is_camera
from flowbench.io.frames import Frame, FrameSource, is_pattern, open_images
from flowbench.io.image import SUFFIXES, read_image
from flowbench.io.pages import SUFFIXES as PAGED_SUFFIXES
from flowbench.io.pages import TiffPages, page_count

# How many frames are looked at before a video is said to show one image only.
# Frames that are compared with the first to find out that a video is a still: spread over it, or of unknown length, the next.
_LOOKED_AT, _NEXT_LOOKED_AT = 20, 500


def open_frames(source: str | Path | Sequence[str | Path], *, white: int | None = None) -> FrameSource:
    """The frames of a video file, a camera, a folder of images, a TIFF stack, a glob pattern or a list of image files.

    Only the first frames are read before the source is iterated.

    Args:
        source: one of these; camera:0 is the first camera.
        white: the value of white in 16-bit images, see `read_image`.

    Raises FlowBenchError, naming the source, when it does not exist, cannot be read, or holds fewer than two frames.
    """
    if not isinstance(source, str | Path) or is_pattern(str(source)) or os.path.isdir(source):
        return open_images(source, white=white)
    if is_camera(str(source)):
        _refuse_white(white, source, "a camera")
        return CameraFrames(str(source))
    if not os.path.exists(source):
        raise FlowBenchError(f"{source}: no such video, folder or pattern. Check the path.")
    suffix = Path(source).suffix.lower()
    if suffix in PAGED_SUFFIXES and page_count(Path(source)) > 1:
        return TiffPages(Path(source), white=white)
    if suffix in SUFFIXES:
        read_image(source, white=white)
        raise FlowBenchError(
            f"{source}: one image; flow needs at least two. Give a folder, a pattern, or [first.png,second.png]."
        )
    _refuse_white(white, source, "a video")
    return VideoFrames(source)


def _refuse_white(white: int | None, source: str | Path, kind: str) -> None:
    if white is not None:
        raise FlowBenchError(f"white={white} is for 16-bit images, and {source} is {kind}: leave white out.")


class VideoFrames:
    """A video file: a FrameSource whose count is what the file's header claims. read: how many frames the
    last iteration has read. repeated: how many of them are the same as the one before."""

    def __init__(self, path: str | Path):
        """Raises FlowBenchError when the file is no readable video, holds fewer than two frames, or seems to show one image
        only: so OpenCV gives interlaced video, which it cannot convert."""
        self.path = Path(path)
        self.read = self.repeated = 0
        with open_capture(self.path) as capture:
            claimed = _positive(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            self.count = None if claimed is None else int(claimed)
            self.fps = _positive(capture.get(cv2.CAP_PROP_FPS))
            first, second = (_next_image(capture, self.path) for _ in range(2))
            if first is None or second is None:
                raise FlowBenchError(f"{self.path}: {int(first is not None)} readable frames; flow needs at least two.")
            if np.array_equal(first, second) and not self._changes(capture, first):
                raise FlowBenchError(
                    f"{self.path}: all frames that OpenCV decodes are the same image. So it gives interlaced video, which it "
                    f"cannot convert: deinterlace it first, for instance with ffmpeg -i '{self.path.name}' -vf bwdif out.mp4."
                    " Where nothing moves, there is no flow to predict."
                )

    def __iter__(self) -> Iterator[Frame]:
        self.read = self.repeated = 0
        with open_capture(self.path) as capture:
            shape, before = None, None
            for index in count():
                image = _next_image(capture, self.path)
                if image is None:
                    return
                shape = image.shape if shape is None else shape
                if image.shape != shape:
                    raise FlowBenchError(
                        f"{self.path}: frame {index} is {image.shape[1]}x{image.shape[0]}, the first {shape[1]}x{shape[0]}: "
                        "all frames must have one size."
                    )
                # Every eighth row and column: enough to tell, and no second frame need be held.
                sparse = image[::8, ::8].copy()
                self.repeated += before is not None and np.array_equal(sparse, before)
                before = sparse
                self.read = index + 1
                yield Frame(f"frame_{index:06d}", cv2.cvtColor(image, cv2.COLOR_BGR2RGB))

    def _changes(self, capture: cv2.VideoCapture, image: np.ndarray) -> bool:
        """Whether another image is found at positions spread over the video, or, of unknown length, among the next ones."""
        for part in range(1, (_LOOKED_AT if self.count else _NEXT_LOOKED_AT) + 1):
            if self.count is not None:
                capture.set(cv2.CAP_PROP_POS_FRAMES, part * (self.count - 1) // _LOOKED_AT)
            other = _next_image(capture, self.path)
            if other is not None and not np.array_equal(other, image):
                return True
        return False


def _next_image(capture: cv2.VideoCapture, path: Path) -> np.ndarray | None:
    """The next frame, BGR; None at the end. Raises FlowBenchError, naming the file, where OpenCV fails."""
    try:
        found, image = capture.read()
    except (cv2.error, MemoryError) as error:
        raise FlowBenchError(f"{path}: a frame cannot be decoded ({' '.join(str(error).split())}).") from error
    return image if found else None


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


def _positive(value: float) -> float | None:
    return value if 0 < value < math.inf else None
