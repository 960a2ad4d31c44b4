"""Images as RGB arrays."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.io.decoding import decode_pixels
from flowbench.io.image_checks import stated_white
from flowbench.io.read_bytes import read_bytes

log = logging.getLogger(__name__)

_warned: set[int] = set()

SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".j2k")
# What a decoder has to give: three channels, and as many bits as there are.
COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH


def read_image(path: str | Path, *, white: int | None = None) -> np.ndarray:
    """(H, W, 3) uint8 RGB, turned as its EXIF orientation says.

    Grey becomes three equal channels, transparency is dropped, more than 8 bits are scaled to 8.

    Args:
        path: of the file.
        white: the value of white in an image of 16 bits per channel, for instance 4095 for 12 bits. None: the value in the
            header of a PPM or PGM file, else 65535, with a warning for an image that stays below a quarter of it.

    Raises FlowBenchError, naming the file, when it is missing, truncated, no readable image, one of several pages, or of
    another number type (a depth map, for instance), and for a white that the image exceeds.
    """
    path = Path(path)
    data = read_bytes(path)
    return rgb_image(path, decode_pixels(path, data, COLOUR), white, stated_white(data))


def rgb_image(path: Path, image: np.ndarray, white: int | None, stated: int | None = None) -> np.ndarray:
    """`read_image` of decoded pixels.

    Args:
        path: for errors and warnings.
        image: (H, W, 3) BGR, decoded with the flags COLOUR.
        white: as of `read_image`.
        stated: the value of white that the file states, if it does.
    """
    if image.dtype not in (np.uint8, np.uint16):
        raise FlowBenchError(f"{path}: an image of {image.dtype} values; 8 or 16 bits per channel are needed.")
    brightest, full = int(image.max()), int(np.iinfo(image.dtype).max)
    if white is not None and not brightest <= white <= full:
        raise FlowBenchError(
            f"{path}: white={white}, but the image has {8 * image.itemsize} bits per channel and values up to {brightest}: "
            "give the value that stands for white, or none."
        )
    if white is None:
        white = _white(path, stated, brightest, full)
    if white != 255:
        image = ((image.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _white(path: Path, stated: int | None, brightest: int, full: int) -> int:
    """The value of white where the user gives none."""
    if stated is not None:
        return max(stated, brightest)
    if full > 255 and brightest <= full // 4:
        _warn_of_dark(path, brightest)
    return full


def _warn_of_dark(path: Path, brightest: int) -> None:
    bits = max(brightest.bit_length(), 8)
    # Once for each depth, not for each of a thousand frames.
    if bits not in _warned:
        _warned.add(bits)
        log.warning(
            "%s: a 16-bit image whose brightest value is %d of 65535, and so almost black. If it holds %d bits, set "
            "white=%d (data.white=%d for data=folder).",
            path,
            brightest,
            bits,
            2**bits - 1,
            2**bits - 1,
        )


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Writes (H, W, 3) uint8 RGB atomically in the format of the suffix.

    Raises FlowBenchError, naming the file, for an unknown suffix, another array, or a file that cannot be written.
    """
    path = Path(path)
    encoded = encode_image(image, path.suffix.lower(), name=str(path))
    with written_aside(path) as aside:
        aside.write_bytes(encoded)


def encode_image(image: np.ndarray, suffix: str, name: str = "image", *, quality: int = 90) -> bytes:
    """The bytes of an image file.

    Args:
        image: (H, W, 3) uint8 RGB.
        suffix: of the format, with the dot.
        name: for the error's message.
        quality: of WebP, up to 100.
    """
    if suffix not in SUFFIXES:
        raise FlowBenchError(f"{name}: unknown suffix {suffix!r} for an image. Known: {', '.join(SUFFIXES)}.")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise FlowBenchError(f"{name}: array of {image.shape}, {image.dtype}; (height, width, 3) uint8 is needed.")
    # OpenCV writes WebP without loss unless a quality is given, ten times the size.
    options = [cv2.IMWRITE_WEBP_QUALITY, quality] if suffix == ".webp" else []
    return cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()
