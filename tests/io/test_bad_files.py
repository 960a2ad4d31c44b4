"""Files that are cut, swapped, stuffed or boastful are errors that name the file, before anything large is allocated."""

import os
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from flowbench.errors import FlowBenchError
from flowbench.io import decoding, open_frames, read_flow, read_image, write_flow, write_image

GOLDEN = Path(__file__).parents[1] / "golden" / "util_io"


def png(width, height, pixels, depth=8, colour=2):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def bmp(width, height):
    return b"BM" + struct.pack("<IIIIiiHH", 200, 0, 54, 40, width, height, 1, 24) + bytes(150)


def tiff(width, height):
    entries = struct.pack("<HHIIHHII", 256, 4, 1, width, 257, 4, 1, height)
    return b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)


def jpeg(width, height):
    encoded = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    return encoded.replace(struct.pack(">HH", 8, 8), struct.pack(">HH", height, width))


BOASTS = {
    "flow.flo": struct.pack("<fii", 202021.25, 2**31 - 1, 2**31 - 1) + bytes(64),
    "flow.pfm": b"PF\n99999 99999\n-1.0\n" + bytes(64),
    "flow.png": png(60000, 60000, bytes(99), depth=16),
    "palette.png": png(40000, 40000, bytes(99), depth=1, colour=3),
    "text.ppm": b"P3\n30000 30000\n255\n1 2 3",
    "frame.ppm": b"P6\n30000 30000\n255\n" + bytes(99),
    "frame.pgm": b"P5\n# a remark\n65535 65535\n65535\n" + bytes(99),
    "bits.pgm": b"P4\n65535 65535\n" + bytes(99),
    "frame.jpg": jpeg(65500, 65500),
    "frame.bmp": bmp(30000, -30000),
    "frame.tif": tiff(2**31 - 1, 4),
}


@pytest.mark.parametrize("name", BOASTS)
def test_a_size_that_the_file_cannot_hold_is_refused_before_decoding(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(BOASTS[name])
    monkeypatch.setattr(decoding.cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    read = read_flow if name.startswith("flow") else read_image
    with pytest.raises(FlowBenchError, match=rf"{name}: .*(\d+x\d+ pixels|truncated)"):
        read(tmp_path / name)


def test_honest_pictures_of_the_densest_kind_are_not_refused(tmp_path):
    black = np.zeros((1500, 2000, 3), np.uint8)
    for suffix in (".png", ".jpg", ".ppm", ".bmp", ".tiff", ".webp"):
        write_image(tmp_path / f"black{suffix}", black)
        assert read_image(tmp_path / f"black{suffix}").max() == 0
    (tmp_path / "bits.png").write_bytes(png(8000, 800, bytes(1001 * 800), depth=1, colour=0))
    assert read_image(tmp_path / "bits.png").shape == (800, 8000, 3)
    (tmp_path / "text.ppm").write_bytes(b"P3 # a remark\n2 1\n255\n1 2 3 4 5 6\n")
    assert read_image(tmp_path / "text.ppm").tolist() == [[[1, 2, 3], [4, 5, 6]]]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".ppm", ".bmp", ".tiff", ".webp"])
@pytest.mark.parametrize("lost", [1, 2, 3, 40, 0.1, 0.5])
def test_a_picture_cut_anywhere_is_an_error_and_never_partly_grey(tmp_path, suffix, lost):
    smooth = np.linspace(0, 255, 60 * 80 * 3).reshape(60, 80, 3).astype(np.uint8)
    path = tmp_path / f"cut{suffix}"
    write_image(path, smooth)
    whole = path.read_bytes()
    path.write_bytes(whole[: -lost if isinstance(lost, int) else int(len(whole) * (1 - lost))])
    with pytest.raises(FlowBenchError, match=f"cut{suffix}"):
        read_image(path)


def test_a_cut_jpeg_is_noticed_without_the_decoder(tmp_path, monkeypatch):
    # OpenCV before version 5 fills the rest with grey and says nothing. A preview inside has an end of its own.
    write_image(tmp_path / "cut.jpg", np.zeros((40, 40, 3), np.uint8))
    data = (tmp_path / "cut.jpg").read_bytes()
    preview = b"\xff\xe1\x00\x06\xff\xd8\xff\xd9"
    (tmp_path / "cut.jpg").write_bytes(data[:2] + preview + data[2:-2])
    (tmp_path / "whole.jpg").write_bytes(data[:2] + preview + data[2:] + b"what a camera appends")
    assert read_image(tmp_path / "whole.jpg").max() == 0
    monkeypatch.setattr(decoding.cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(FlowBenchError, match=r"cut\.jpg: truncated"):
        read_image(tmp_path / "cut.jpg")


def test_every_flipped_bit_of_kitti_flow_is_noticed(tmp_path):
    whole, path = (GOLDEN / "b_kitti.png").read_bytes(), tmp_path / "flow.png"
    for place in np.random.default_rng(0).integers(0, len(whole), 200):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(FlowBenchError, match=r"flow\.png: "):
            read_flow(path)


def test_flo_with_swapped_bytes_is_named_as_such(tmp_path):
    swapped = np.frombuffer((GOLDEN / "a.flo").read_bytes(), "<u4").astype(">u4").tobytes()
    (tmp_path / "flow.flo").write_bytes(swapped)
    with pytest.raises(FlowBenchError, match=r"flow\.flo: its bytes are swapped \(big endian\)"):
        read_flow(tmp_path / "flow.flo")


@pytest.mark.parametrize("suffix", [".flo", ".pfm"])
def test_values_that_are_no_numbers_are_invalid_and_zero(tmp_path, suffix):
    path = tmp_path / f"flow{suffix}"
    write_flow(path, np.ones((3, 4, 2), np.float32))
    data = bytearray(path.read_bytes())
    first_row = len(data) - (8 if suffix == ".flo" else 12) * 4
    data[first_row : first_row + 4] = struct.pack("<f", np.nan)
    path.write_bytes(data)
    flow, valid = read_flow(path)
    assert np.isfinite(flow).all()
    assert np.argwhere(~valid).tolist() == [[2 if suffix == ".flo" else 0, 0]]


@pytest.mark.parametrize("header", ["PF\n-3 4\n-1.0", f"PF\n{'9' * 5000} 4\n-1.0", "PF\n1 1\n1e999", "PF\n1 1\nnan"])
def test_pfm_headers_of_no_sense_are_errors(tmp_path, header):
    (tmp_path / "flow.pfm").write_bytes(header.encode() + b"\n" + bytes(12))
    with pytest.raises(FlowBenchError, match=r"flow\.pfm: "):
        read_flow(tmp_path / "flow.pfm")


def npy(shape, descr="'<f4'"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(16)


@pytest.mark.parametrize(
    "shape", ["(1048576, 1048576, 2)", "(-1, 4, 2)", "(2, 1, 2, [])", "((((", "{[]: 1}", "(2**70,)"]
)
def test_array_headers_of_no_sense_are_errors_in_both_containers(tmp_path, shape):
    (tmp_path / "flow.npy").write_bytes(npy(shape))
    with zipfile.ZipFile(tmp_path / "flow.npz", "w") as archive:
        archive.writestr("flow.npy", npy(shape))
        archive.writestr("valid.npy", npy("(16,)", "'|b1'"))
    for name in ("flow.npy", "flow.npz"):
        with pytest.raises(FlowBenchError, match=f"{name}: "):
            read_flow(tmp_path / name)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "flow.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flow.npy", npy("(2, 1, 2)"))
        archive.writestr("valid.npy", npy("(16,)", "'|b1'"))
    data = bytearray((tmp_path / "flow.npz").read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 2**31)
    (tmp_path / "flow.npz").write_bytes(data)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(FlowBenchError, match=r"flow\.npz: flow is said to be 2147483648 bytes"):
        read_flow(tmp_path / "flow.npz")


def test_hdf5_that_claims_more_than_it_stores_is_refused(tmp_path):
    with h5py.File(tmp_path / "flow.flo5", "w") as file:
        file.create_dataset("flow", (10000, 10000, 2), np.float32, chunks=(100, 100, 2))
    with pytest.raises(FlowBenchError, match=r"flow\.flo5: its header says 10000x10000 pixels, more than"):
        read_flow(tmp_path / "flow.flo5")


def test_files_of_absurd_length_are_not_read_at_all(tmp_path):
    with open(tmp_path / "flow.flo", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(FlowBenchError, match=r"flow\.flo: 1099511627776 bytes; files of at most"):
        read_flow(tmp_path / "flow.flo")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "frame.png")
    with pytest.raises(FlowBenchError, match=r"frame\.png: cannot be read"):
        read_image(tmp_path / "frame.png")


def test_names_that_the_system_refuses_are_errors():
    for name in ("zero\0byte.png", "long" * 2000 + ".png"):
        with pytest.raises(FlowBenchError, match="cannot be read"):
            read_image(name)
        with pytest.raises(FlowBenchError, match="no such"):
            open_frames(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read anything")
def test_a_folder_that_may_not_be_read_is_an_error_that_names_it(tmp_path):
    (tmp_path / "locked").mkdir(mode=0)
    with pytest.raises(FlowBenchError, match="locked: cannot be read"):
        open_frames(tmp_path / "locked")
