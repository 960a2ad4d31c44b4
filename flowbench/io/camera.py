"""The frames of a camera, until the user ends it."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import FrameType
from typing import Any

import cv2

from flowbench.errors import FlowBenchError
from flowbench.io.frames import Frame

_NAME = re.compile(r"camera:(\d{1,3})")


def is_camera(source: str) -> bool:
    """Whether the text names a camera: camera:0 is the first."""
    return source.startswith("camera:")


class CameraFrames:
    """A camera: a FrameSource without a count, which ends when the camera does, or well after the first Ctrl-C.

    fps: what the camera claims; None where it claims nothing.
    """

    count = None

    def __init__(self, source: str):
        """source: camera:<number>. Raises FlowBenchError for another text, and where there is no such camera."""
        named = _NAME.fullmatch(source)
        if named is None:
            raise FlowBenchError(f"{source}: a camera is named by its number, such as camera:0.")
        self.source = source
        self._number = int(named[1])
        with self._opened() as capture:
            claimed = capture.get(cv2.CAP_PROP_FPS)
            self.fps = claimed if 0 < claimed < 1000 else None

    def __iter__(self) -> Iterator[Frame]:
        with self._opened() as capture, _until_interrupted() as interrupted:
            for number in count():
                found, image = capture.read()
                if not found or interrupted():
                    return
                yield Frame(f"frame_{number:06d}", cv2.cvtColor(image, cv2.COLOR_BGR2RGB))

    @contextmanager
    def _opened(self) -> Iterator[cv2.VideoCapture]:
        # OpenCV tells of each way in which it found no camera.
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        capture = cv2.VideoCapture(self._number)
        cv2.utils.logging.setLogLevel(level)
        try:
            if not capture.isOpened():
                raise FlowBenchError(
                    f"{self.source}: no such camera, or another program has it. Cameras are numbered from camera:0."
                )
            yield capture
        finally:
            capture.release()


@contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed in the block; a second one interrupts as usual. Other threads than the first see none."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed = threading.Event()
    before: Any = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
