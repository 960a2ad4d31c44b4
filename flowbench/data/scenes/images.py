"""Image files that a glob or a list names."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError

RGB_FROM = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}


def list_images(named: str | Sequence[str], setting: str, example: str) -> tuple[str, ...]:
    """The files that a glob matches, or those of a list, sorted.

    Args:
        named: a glob or a list of files.
        setting: its name, for the message.
        example: a glob, for the message.

    Raises FlowBenchError where there are none.
    """
    if isinstance(named, str):
        found = (path for path in glob.glob(str(Path(named).expanduser()), recursive=True) if Path(path).is_file())
        paths = tuple(sorted(found))
    else:
        paths = tuple(sorted(str(path) for path in named))
    if not paths:
        raise FlowBenchError(f"No file matches {setting}={named!r}: give a glob such as '{example}', or null for none.")
    return paths


def read_shrunk(path: str, longest_side: int, flags: int) -> np.ndarray | None:
    """(h, w, 3 or 4) uint8 RGB or RGBA; None where OpenCV cannot read the file as such.

    Args:
        path: of the image file.
        longest_side: to which larger images are shrunk, pixels.
        flags: of cv2.imread.
    """
    image = cv2.imread(path, flags)
    if image is None or image.dtype != np.uint8 or image.ndim != 3:
        return None
    image = cv2.cvtColor(image, RGB_FROM[image.shape[2]])
    shrink = longest_side / max(image.shape[:2])
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return image
