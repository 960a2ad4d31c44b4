"""Damaged files of every format: the readers give an error that names the file, or an array of the size it states."""

import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.errors import FlowBenchError
from flowbench.io import read_flow, read_image, read_mask, write_flow, write_image

HEIGHT, WIDTH = 5, 7
# What a file of a few hundred bytes may make the process grow by, in KiB: a claim that is believed takes far more.
LARGEST_GROWTH = 256 * 1024
EXTREMES = [
    *(struct.pack("<i", value) for value in (0, 1, -1, 2**31 - 1, -(2**31), 2**16, 2**24)),
    *(struct.pack(">i", value) for value in (1, 2**31 - 1, -(2**31), 2**16, 2**24)),
    *(struct.pack("<f", value) for value in (np.nan, np.inf, -np.inf, 1e10, 1e-45)),
    *(b"99999999999", b"-1", b"0", b"9" * 5000, b"nan", b"1e999", b" ", b"\n#", b"(", b"'O'", b"\0", b"\xff\xd9"),
]
# Drawing takes longer than reading, so that one draw serves several files. Three changes of (kind, place, value) each.
FILES_A_DRAW = 5
CHANGES_OF_A_FILE = struct.Struct(">" + 3 * "BHH")

Change = tuple[int, int, int]
Mutate = Callable[[bytes, list[Change]], bytes]


def flip(data, place, value):
    return data[:place] + bytes([data[place] ^ (1 << value % 8)]) + data[place + 1 :]


def set_byte(data, place, value):
    return data[:place] + bytes([value % 256]) + data[place + 1 :]


def put_extreme(data, place, value):
    extreme = EXTREMES[value % len(EXTREMES)]
    return data[:place] + extreme + data[place + len(extreme) :]


def insert_extreme(data, place, value):
    return data[:place] + EXTREMES[value % len(EXTREMES)] + data[place:]


def replace_number(data, place, value):
    """The first number in figures after the place, if there is one, becomes an extreme one."""
    extreme = EXTREMES[value % len(EXTREMES)]
    return data[:place] + re.sub(rb"\d+", lambda _: extreme, data[place:], count=1)


def truncate(data, place, value):
    return data[:place]


def extend(data, place, value):
    return data + data[place : place + value % 64]


def remove(data, place, value):
    return data[:place] + data[place + value % 16 + 1 :]


def repeat(data, place, value):
    return data[: place + value % 16 + 1] + data[place:]


def swap(data, place, value):
    step = value % 8 + 1
    first, second = data[place : place + step], data[place + step : place + 2 * step]
    return data[:place] + second + first + data[place + 2 * step :]


CHANGES = [flip, set_byte, put_extreme, insert_extreme, replace_number, truncate, extend, remove, repeat, swap]


def mutated(data: bytes, changes: list[Change]) -> bytes:
    for kind, place, value in changes:
        if data:
            # Squared, so that half of the changes fall on the first quarter, where the headers are.
            data = CHANGES[kind % len(CHANGES)](data, int((place / 2**16) ** 2 * len(data)), value)
    return data


def mutated_png(data: bytes, changes: list[Change]) -> bytes:
    """Half of the time chunks are changed, removed, repeated or swapped, and their checksums set right again."""
    if changes[0][2] % 2:
        return mutated(data, changes)
    chunks = png_chunks(data)
    for kind, place, value in changes:
        index = place % len(chunks)
        name, content = chunks[index]
        match kind % 7:
            case 0:
                del chunks[index]
            case 1:
                chunks.insert(value % len(chunks), (name, content))
            case 2:
                chunks.append(chunks.pop(index))
            case 3 if name == b"IDAT":
                chunks[index] = name, repacked(content, value)
            case _:
                chunks[index] = name, mutated(content, [(value, place * 31 % 2**16, value // len(CHANGES))])
        if not chunks:
            break
    return data[:8] + b"".join(map(png_chunk, chunks))


def repacked(content: bytes, value: int) -> bytes:
    try:
        pixels = zlib.decompress(content)
    except zlib.error:
        return content
    return zlib.compress(pixels[: value % (len(pixels) + 1)] if value % 3 else pixels + bytes(value % 1000))


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, position = [], 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        chunks.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += 12 + length
    return chunks


def png_chunk(chunk: tuple[bytes, bytes]) -> bytes:
    name, content = chunk
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def mutated_npz(data: bytes, changes: list[Change]) -> bytes:
    """Half of the time the arrays are changed inside the archive, whose checksums then are right."""
    if changes[0][2] % 2:
        return mutated(data, changes)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist()}
    changed = ("flow.npy", "valid.npy")[changes[0][1] % 2]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(name, mutated(content, changes) if name == changed else content)
    return file.getvalue()


def stated_in_npz(data: bytes, height: int, width: int) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return stated_in_npy(archive.read("flow.npy"), height, width)


def stated_in_npy(data: bytes, height: int, width: int) -> bool:
    return re.search(rf"\(\s*{height}\s*,\s*{width}\s*,\s*2\s*,?\s*\)".encode(), data) is not None


def stated_in_text(data: bytes, height: int, width: int) -> bool:
    return re.match(rb"\w+(\s|#.*\n)+0*%d(\s|#.*\n)+0*%d\D" % (width, height), data) is not None


def stated_in_jpeg(data: bytes, height: int, width: int) -> bool:
    # EXIF's orientation may turn the picture.
    return struct.pack(">HH", height, width) in data or struct.pack(">HH", width, height) in data


class Format(NamedTuple):
    """How to write a small whole file and to read it, whether a header states a size, which memory counts.

    VmPeak is what the process asked for, touched or not, and VmHWM what it touched.
    """

    suffix: str
    write: Callable
    read: Callable
    stated: Callable[[bytes, int, int], bool]
    mutate: Mutate = mutated
    memory: str = "VmPeak"


def write_small_flow(path: Path):
    flow = np.random.default_rng(0).normal(0, 3, (HEIGHT, WIDTH, 2)).astype(np.float32)
    write_flow(path, flow, valid=np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 5 > 0)


def write_small_picture(path: Path):
    write_image(path, np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def write_small_mask(path: Path):
    cv2.imwrite(str(path), np.eye(HEIGHT, WIDTH, dtype=np.uint8) * 255)


FORMATS = {
    "flo": Format(
        ".flo", write_small_flow, read_flow, lambda data, *size: data[4:12] == struct.pack("<ii", *size[::-1])
    ),
    "pfm": Format(".pfm", write_small_flow, read_flow, stated_in_text),
    "kitti": Format(
        ".png",
        write_small_flow,
        read_flow,
        lambda data, *size: data[16:24] == struct.pack(">II", *size[::-1]),
        mutated_png,
    ),
    "npz": Format(".npz", write_small_flow, read_flow, stated_in_npz, mutated_npz),
    "npy": Format(".npy", write_small_flow, read_flow, stated_in_npy),
    "flo5": Format(
        ".flo5",
        write_small_flow,
        read_flow,
        lambda data, *size: struct.pack("<QQQ", *size, 2) in data,
        # The HDF5 library believes the size of its table of names, but fills no more of it than the file has.
        memory="VmHWM",
    ),
    "png": Format(
        ".png",
        write_small_picture,
        read_image,
        lambda data, *size: data[16:24] == struct.pack(">II", *size[::-1]),
        mutated_png,
    ),
    "mask": Format(
        ".png",
        write_small_mask,
        read_mask,
        lambda data, *size: data[16:24] == struct.pack(">II", *size[::-1]),
        mutated_png,
    ),
    "ppm": Format(".ppm", write_small_picture, read_image, stated_in_text),
    "jpg": Format(".jpg", write_small_picture, read_image, stated_in_jpeg),
}


@cache
def whole_file(folder: Path, name: str) -> bytes:
    path = folder / f"whole_{name}{FORMATS[name].suffix}"
    FORMATS[name].write(path)
    return path.read_bytes()


def changes_of(numbers: tuple[int, ...]) -> list[Change]:
    """One to three changes; all of the numbers count, so that none is drawn in vain."""
    changes = list(zip(numbers[::3], numbers[1::3], numbers[2::3]))
    return changes[: 1 + sum(numbers) % 3]


def check_mutations(folder: Path, name: str, count: int):
    """Reads `count` files of the format, each damaged in another way; the same ones in every run."""
    form, path = FORMATS[name], folder / f"damaged_{name}{FORMATS[name].suffix}"
    drawn = st.binary(min_size=FILES_A_DRAW * CHANGES_OF_A_FILE.size, max_size=FILES_A_DRAW * CHANGES_OF_A_FILE.size)
    outcomes = {"read": 0, "refused": 0}

    @settings(derandomize=True, database=None, deadline=2000 * FILES_A_DRAW, max_examples=count // FILES_A_DRAW)
    @given(drawn)
    def check(drawn):
        for numbers in CHANGES_OF_A_FILE.iter_unpack(drawn):
            check_file(changes_of(numbers))

    def check_file(changes):
        data = form.mutate(whole_file(folder, name), changes)
        # Where a file is overwritten, some file systems wait for the disk.
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        result = result_or_error(form.read, path)
        outcomes["refused" if isinstance(result, FlowBenchError) else "read"] += 1
        if isinstance(result, FlowBenchError):
            assert str(path) in str(result)
        else:
            check_result(result, form.stated, data)

    before = most_memory(form.memory)
    check()
    assert most_memory(form.memory) - before < LARGEST_GROWTH
    # Both must have happened, or the changes are too coarse or too fine to say anything.
    assert min(outcomes.values()) > 0, outcomes


def result_or_error(read: Callable, path: Path):
    try:
        return read(path)
    except FlowBenchError as error:
        return error


def check_result(result, stated: Callable[[bytes, int, int], bool], data: bytes):
    if isinstance(result, tuple):
        flow, valid = result
        assert (flow.dtype, valid.dtype) == (np.float32, bool)
        assert flow.shape == (*valid.shape, 2)
        assert np.isfinite(flow[valid]).all()
        height, width = valid.shape
    elif result.dtype == bool:
        height, width = result.shape
    else:
        assert result.dtype == np.uint8
        height, width, channels = result.shape
        assert channels == 3
    assert stated(data, height, width)


def most_memory(kind: str) -> int:
    """The most that the process ever had, in KiB; 0 where the system does not say."""
    status = Path("/proc/self/status")
    found = re.search(rf"{kind}:\s+(\d+)", status.read_text()) if status.is_file() else None
    return int(found[1]) if found else 0


@pytest.fixture(autouse=True)
def _strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_read_as_it_states_or_is_an_error_that_names_it(tmp_path, name):
    check_mutations(tmp_path, name, 300)


# Masks are decoded as KITTI's flow is.
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "mask"])
def test_ten_thousand_damaged_files_of_a_format_never_surprise_its_reader(tmp_path, name):
    check_mutations(tmp_path, name, 10_000)
