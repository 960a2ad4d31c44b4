"""Frames one at a time, from a video, a folder, a glob pattern or a list of files."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.image import SUFFIXES, read_image


class Frame(NamedTuple):
    """One image of a sequence. image: (H, W, 3) uint8 RGB.

    name: unique in its sequence, fit for a file's name; holds folders where files of several folders are equally named.
    """

    name: str
    image: np.ndarray


class FrameSource(Protocol):
    """A sequence of frames of one size, read as it is iterated; each new iteration starts from the first frame.

    count: how many frames, None where the file does not say (for a video it is what the header claims). fps: frames a
    second, None where unknown. Iteration raises FlowBenchError for a frame that cannot be read or has another size.
    """

    @property
    def count(self) -> int | None: ...

    @property
    def fps(self) -> float | None: ...

    def __iter__(self) -> Iterator[Frame]: ...


class ImageFrames:
    """Image files in the given order: a FrameSource with a count, but no frame rate."""

    fps = None

    def __init__(self, paths: Sequence[Path], *, white: int | None = None):
        """white: see `read_image`."""
        self.paths = list(paths)
        self.white = white
        self.names = _unique_names(self.paths)
        self.count = len(self.paths)

    def __iter__(self) -> Iterator[Frame]:
        first = None
        for name, path in zip(self.names, self.paths):
            image = read_image(path, white=self.white)
            first = image.shape if first is None else first
            if image.shape != first:
                raise FlowBenchError(
                    f"{path} is {_size(image.shape)}, {self.paths[0]} is {_size(first)}: all frames must have one size."
                )
            yield Frame(name, image)


def open_images(source: str | Path | Sequence[str | Path], *, white: int | None = None) -> ImageFrames:
    """The images of a folder or glob pattern in natural order (frame_10 after frame_9), or of a list as it is given.

    white: the value of white in 16-bit images, see `read_image`.

    Raises FlowBenchError when there are fewer than two images or a listed file does not exist.
    """
    if isinstance(source, str | Path):
        paths, origin = _found_images(str(source)), str(source)
    else:
        paths, origin = [Path(path) for path in source], "the list of files"
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            raise FlowBenchError(f"{missing[0]}: no such file ({len(missing)} of {len(paths)} listed are missing).")
    if not paths:
        raise FlowBenchError(f"{origin}: no images found. Known suffixes: {', '.join(SUFFIXES)}.")
    if len(paths) == 1:
        raise FlowBenchError(f"{origin}: one image ({paths[0].name}) only; flow needs at least two.")
    return ImageFrames(paths, white=white)


def is_pattern(source: str) -> bool:
    """Whether the text is a glob pattern and not the name of something that exists."""
    return glob.has_magic(source) and not os.path.exists(source)


def natural_order(path: Path) -> list[tuple[str, int]]:
    """A sort key by which numbers within names count as numbers."""
    # Text and digits alternate in the split, so that equal positions always compare equal types.
    parts = re.split(r"(\d+)", str(path))
    return [(text, int(digits)) for text, digits in zip(parts[::2], [*parts[1::2], "0"])]


def _found_images(source: str) -> list[Path]:
    if is_pattern(source):
        found = [Path(path) for path in glob.glob(source, recursive=True)]
    else:
        found = [path for path in _entries(Path(source)) if not path.name.startswith(".")]
    return sorted((path for path in found if path.suffix.lower() in SUFFIXES), key=natural_order)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise FlowBenchError(f"{folder}: cannot be read ({error.strerror or error}).") from error


def _unique_names(paths: list[Path]) -> list[str]:
    """Stems; with the folders that differ and then the suffixes, where shorter names would be equal."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    # Without '..', which would name files outside of the folder that the names are used in.
    absolute = [Path(os.path.abspath(path)) for path in paths]
    common = os.path.commonpath([path.parent for path in absolute])
    relative = [path.relative_to(common) for path in absolute]
    names = [path.with_suffix("").as_posix() for path in relative]
    if len(set(names)) == len(names):
        return names
    names = [path.as_posix() for path in relative]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise FlowBenchError(f"{repeated[0]}: listed more than once; every frame needs a name of its own.")
    return names


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
