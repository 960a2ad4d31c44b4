"""The pages of a TIFF file as frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.frames import Frame
from flowbench.io.image import COLOUR, rgb_image
from flowbench.io.image_checks import tiff_pages
from flowbench.io.read_bytes import read_bytes

SUFFIXES = (".tif", ".tiff")


def page_count(path: Path) -> int:
    """Raises FlowBenchError, naming the file, when it is missing, or no whole TIFF file."""
    return len(tiff_pages(path, read_bytes(path)))


class TiffPages:
    """A stack: a FrameSource with a count, but no frame rate, of which one page at a time is decoded."""

    fps = None

    def __init__(self, path: Path, *, white: int | None = None):
        """white: see `read_image`. Raises FlowBenchError as `page_count` does."""
        self.path = path
        self.white = white
        self._places = tiff_pages(path, read_bytes(path))
        self.count = len(self._places)

    def __iter__(self) -> Iterator[Frame]:
        shape = None
        for number, place in enumerate(self._places):
            image = rgb_image(self.path, self._decoded(place), self.white)
            shape = image.shape if shape is None else shape
            if image.shape != shape:
                raise FlowBenchError(
                    f"{self.path}: page {number} is {image.shape[1]}x{image.shape[0]}, the first {shape[1]}x{shape[0]}: all "
                    "pages must have one size."
                )
            yield Frame(f"page_{number:06d}", image)

    def _decoded(self, place: int) -> np.ndarray:
        try:
            found, images = cv2.imreadmulti(str(self.path), start=place, count=1, flags=COLOUR)
        except (cv2.error, MemoryError) as error:
            raise FlowBenchError(
                f"{self.path}: page {place} cannot be read ({' '.join(str(error).split())})."
            ) from error
        if not found:
            raise FlowBenchError(f"{self.path}: page {place} cannot be read: damaged, or of a kind that OpenCV lacks.")
        return images[0]
