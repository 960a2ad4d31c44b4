"""Checks of an image file before it is decoded: that it is complete and can hold the pixels it claims.

OpenCV trusts the header when it allocates, and some of its versions fill the missing part of a truncated file with grey.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from flowbench.errors import FlowBenchError
from flowbench.io.limits import DEFLATE_RATIO, check_pixels

# Exactly one white-space character ends the header of a binary map: its pixels may look like white space.
_GAP = rb"(?:\s|#[^\n]*\n)+"
_PNM_SIZE = re.compile(rb"P([1-6])" + 2 * (_GAP + rb"(\d{1,10})"))
_PNM_LARGEST = re.compile(_GAP + rb"(\d{1,5})\s")
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PNG_HEADER = struct.Struct(">IIBB")
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}
_JPEG_SCAN = 0xDA
_JPEG_END = b"\xff\xd9"
# The markers of a codestream's start and of its size.
_JPEG2000_SIZE = b"\xff\x4f\xff\x51"
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_KIND = 256, 257, 254
# Bits of its kind: a reduced copy of another page, a transparency mask.
_TIFF_NO_PAGE = 0b101
_WEBP_ANIMATED = 0b10


def check_image(path: Path, data: bytes) -> None:
    """Raises FlowBenchError, naming the file, for an unknown, truncated or damaged image, impossible claims, or several
    images in one file, of which OpenCV would give the first.

    WebP is left to its decoder: the format ends at 16383 x 16383 pixels, and at the length that it states.
    """
    for signature, check in _CHECKS.items():
        if data.startswith(signature):
            return check(path, data)
    raise FlowBenchError(
        f"{path}: starts with {data[:8]!r}, which is no image of a known format (PNG, JPEG, JPEG 2000, PPM, PGM, BMP, TIFF, "
        "WebP)."
    )


def stated_white(data: bytes) -> int | None:
    """The value of white in the header of a PPM or PGM file; None for other formats."""
    header = _PNM_SIZE.match(data)
    largest = None if header is None or header[1] in b"14" else _PNM_LARGEST.match(data, header.end())
    return None if largest is None else int(largest[1]) or None


def _check_png(path: Path, data: bytes) -> None:
    kind, start, length = next(_png_chunks(path, data))
    if kind != b"IHDR" or length != 13:
        raise _damaged(path, "PNG", "it does not start with the header")
    width, height, depth, colour = _PNG_HEADER.unpack_from(data, start)
    bits = depth * _PNG_CHANNELS.get(colour, 1)
    chunks = list(_png_chunks(path, data))
    packed = sum(length for kind, _, length in chunks if kind == b"IDAT")
    _refuse_several(path, max((_number(data, start) for kind, start, _ in chunks if kind == b"acTL"), default=1))
    check_pixels(path, width, height, room=8 * DEFLATE_RATIO * packed // max(bits, 1))


def _png_chunks(path: Path, data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length of each chunk's content up to the closing one, all checked against their checksums."""
    view, position, kind = memoryview(data), 8, b""
    while kind != b"IEND":
        length = int.from_bytes(view[position : position + 4], "big")
        kind, start, end = data[position + 4 : position + 8], position + 8, position + 8 + length
        if end + 4 > len(data):
            raise _truncated(path, "PNG")
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise _damaged(path, "PNG", f"the checksum of its chunk {kind!r} is wrong")
        yield kind, start, length
        position = end + 4


def _check_jpeg(path: Path, data: bytes) -> None:
    size, position = None, 2
    while True:
        # Between segments anything may stand; 0xFF repeats at will before the marker.
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            raise _truncated(path, "JPEG")
        marker = data[position + 1]
        if marker in (0x00, 0xFF) or marker in _JPEG_ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker == _JPEG_SCAN:
            break
        if marker in _JPEG_FRAMES and position + 9 <= len(data):
            size = struct.unpack_from(">HH", data, position + 5)
        position += 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
    if size is None:
        raise _damaged(path, "JPEG", "no size stands before its pixels")
    # Within the packed pixels 0xFF is always followed by something else.
    if data.find(_JPEG_END, position) < 0:
        raise _truncated(path, "JPEG")
    height, width = size
    # Each block of 8 x 8 pixels takes a bit at least.
    check_pixels(path, width, height, room=8 * 64 * len(data))


def _check_pnm(path: Path, data: bytes) -> None:
    header = _PNM_SIZE.match(data)
    if header is None:
        raise _damaged(path, "PPM or PGM", "its header holds no width and height")
    kind, width, height = int(header[1]), int(header[2]), int(header[3])
    start, samples, bytes_each = header.end(), 3 if kind in (3, 6) else 1, 1
    if kind not in (1, 4):
        largest = _PNM_LARGEST.match(data, header.end())
        if largest is None:
            raise _damaged(path, "PPM or PGM", "its header holds no largest value")
        start, bytes_each = largest.end(), 2 if kind in (5, 6) and int(largest[1]) > 255 else 1
    values = len(data) - start
    room = values // (samples * bytes_each) if kind != 4 else 8 * values
    check_pixels(path, width, height, room)


def _check_bmp(path: Path, data: bytes) -> None:
    if len(data) < 26:
        raise _truncated(path, "BMP")
    old = int.from_bytes(data[14:18], "little") == 12
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    # Run lengths give 255 pixels for two bytes; rows that stand top-down have a height below zero.
    check_pixels(path, width, abs(height), room=255 * len(data) // 2)


def _check_jpeg2000(path: Path, data: bytes) -> None:
    start = data.find(_JPEG2000_SIZE)
    if start < 0 or start + 22 > len(data):
        raise _truncated(path, "JPEG 2000")
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    # Within the packed pixels, too, 0xFF is never followed by this.
    if data.find(_JPEG_END, start) < 0:
        raise _truncated(path, "JPEG 2000")
    # Wavelets leave nothing of an even area.
    check_pixels(path, right - left, bottom - top, room=math.inf)


def _check_tiff(path: Path, data: bytes) -> None:
    _refuse_several(path, len(tiff_pages(path, data)))


def tiff_pages(path: Path, data: bytes) -> list[int]:
    """The places of a TIFF file's pages among its directories; reduced copies and transparency masks are no pages.

    Raises FlowBenchError, naming the file, for a truncated file and impossible claims.
    """
    order = "<" if data.startswith(b"II") else ">"
    try:
        directories = list(_tiff_directories(data, order))
    except struct.error:
        raise _truncated(path, "TIFF") from None
    pages = [place for place, entry in enumerate(directories) if not entry.get(_TIFF_KIND, 0) & _TIFF_NO_PAGE]
    for entry in [directories[place] for place in pages] or [{}]:
        # Fax coding of white paper has no limit worth the name.
        check_pixels(path, entry.get(_TIFF_WIDTH, 0), entry.get(_TIFF_HEIGHT, 0), room=math.inf)
    return pages


def _tiff_directories(data: bytes, order: str) -> Iterator[dict[int, int]]:
    """The numbers that each directory, the header of a page, holds under the tags that matter here."""
    (offset,) = struct.unpack_from(f"{order}I", data, 4)
    seen: set[int] = set()
    while offset and offset not in seen:
        seen.add(offset)
        (count,) = struct.unpack_from(f"{order}H", data, offset)
        entries = [struct.unpack_from(f"{order}HHI", data, offset + 2 + 12 * index) for index in range(count)]
        yield {
            tag: struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, offset + 10 + 12 * index)[0]
            for index, (tag, kind, _) in enumerate(entries)
            if tag in (_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_KIND)
        }
        (offset,) = struct.unpack_from(f"{order}I", data, offset + 2 + 12 * count)


def _check_webp(path: Path, data: bytes) -> None:
    if data[8:12] != b"WEBP":
        raise _damaged(path, "WebP", "it is another RIFF file")
    if 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise _truncated(path, "WebP")
    if data[12:16] == b"VP8X" and data[20] & _WEBP_ANIMATED:
        _refuse_several(path, data.count(b"ANMF"))


def _number(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + 4], "big")


def _refuse_several(path: Path, count: int) -> None:
    if count > 1:
        raise FlowBenchError(
            f"{path}: holds {count} images (pages or frames), of which one alone would be read. Save each as a file "
            "of its own, numbered in order."
        )


def _truncated(path: Path, kind: str) -> FlowBenchError:
    return FlowBenchError(f"{path}: truncated: the end of the {kind} image is missing. Fetch it again.")


def _damaged(path: Path, kind: str, detail: str) -> FlowBenchError:
    return FlowBenchError(f"{path}: a damaged {kind} image: {detail}. Fetch it again.")


_CHECKS = {
    b"\x89PNG\r\n\x1a\n": _check_png,
    b"\xff\xd8\xff": _check_jpeg,
    **{f"P{kind}".encode(): _check_pnm for kind in range(1, 7)},
    b"\0\0\0\x0cjP  \r\n\x87\n": _check_jpeg2000,
    _JPEG2000_SIZE: _check_jpeg2000,
    b"BM": _check_bmp,
    b"II*\0": _check_tiff,
    b"MM\0*": _check_tiff,
    b"RIFF": _check_webp,
}
