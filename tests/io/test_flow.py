"""Flow files against the reference figures of the published readers and writers, round trips, real files, errors."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from flowbench.errors import FlowBenchError
from flowbench.io import read_flow, read_image, write_flow

GOLDEN = Path(__file__).parents[1] / "golden" / "util_io"
REAL = Path(__file__).parents[3] / "shared" / "real"

needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real pictures are not at {REAL}")


@pytest.fixture
def golden_flow():
    """The formula from which the reference files were written (util_io/case.json, k = 1)."""
    height, width = 24, 32
    y, x = np.mgrid[:height, :width].astype(np.float64)
    u = 4 * np.sin(2 * np.pi * x / width + 0.5) + 0.1 * y
    v = np.cos(2 * np.pi * y / height) - 0.05 * x
    return np.stack([u, v], axis=-1).astype(np.float32)


@pytest.mark.parametrize("name", ["a.flo", "d.pfm", "e_bigendian.pfm"])
def test_dense_files_of_the_reference_are_read_exactly(name, golden_flow):
    flow, valid = read_flow(GOLDEN / name)
    assert flow.dtype == np.float32
    assert valid.all()
    np.testing.assert_array_equal(flow, golden_flow)


@pytest.mark.parametrize(("name", "valid_pixels"), [("b_kitti", 768), ("c_kitti_sparse", 614)])
def test_kitti_files_of_the_reference_are_read_exactly(name, valid_pixels):
    flow, valid = read_flow(GOLDEN / f"{name}.png")
    assert flow.dtype == np.float32
    assert valid.dtype == bool
    assert valid.sum() == valid_pixels
    np.testing.assert_array_equal(flow, np.load(GOLDEN / f"{name}_read.npy"))


def test_flo_is_written_byte_for_byte_as_the_reference_does(tmp_path, golden_flow):
    write_flow(tmp_path / "flow.flo", golden_flow)
    assert (tmp_path / "flow.flo").read_bytes() == (GOLDEN / "a.flo").read_bytes()


@pytest.mark.parametrize("suffix", [".flo", ".pfm", ".npz"])
def test_exact_formats_survive_a_round_trip(tmp_path, golden_flow, suffix):
    valid = np.random.default_rng(0).random(golden_flow.shape[:2]) > 0.3
    write_flow(tmp_path / f"flow{suffix}", golden_flow, valid)
    flow, read_valid = read_flow(tmp_path / f"flow{suffix}")
    np.testing.assert_array_equal(read_valid, valid)
    np.testing.assert_array_equal(flow[valid], golden_flow[valid])


def test_kitti_round_trip_rounds_and_stores_zero_where_invalid(tmp_path, golden_flow):
    valid = np.random.default_rng(0).random(golden_flow.shape[:2]) > 0.3
    golden_flow[~valid] = np.nan
    write_flow(tmp_path / "flow.png", golden_flow, valid)
    flow, read_valid = read_flow(tmp_path / "flow.png")
    np.testing.assert_array_equal(read_valid, valid)
    assert np.abs(flow[valid] - golden_flow[valid]).max() <= 0.5 / 64
    stored = cv2.imread(str(tmp_path / "flow.png"), cv2.IMREAD_UNCHANGED)
    assert not stored[~valid].any()


def test_kitti_holds_its_whole_range(tmp_path):
    flow = np.array([[[-512.0, 65535 / 64 - 512]]], np.float32)
    write_flow(tmp_path / "flow.png", flow)
    read, valid = read_flow(tmp_path / "flow.png")
    np.testing.assert_array_equal(read, flow)
    assert valid.all()


def test_dense_values_that_mean_unknown_are_invalid_and_zero(tmp_path, golden_flow):
    golden_flow[0, 0] = 1.666666752e9
    golden_flow[1, 1] = 1200.0
    write_flow(tmp_path / "flow.flo", golden_flow)
    flow, valid = read_flow(tmp_path / "flow.flo")
    assert np.argwhere(~valid).tolist() == [[0, 0], [1, 1]]
    assert flow[0, 0].tolist() == [0, 0]
    assert flow[1, 1].tolist() == [1200, 1200]


@pytest.mark.parametrize("name", ["a.flo", "d.pfm", "c_kitti_sparse.png", "x.npz"])
@pytest.mark.parametrize("kept", [0, 3, 11, 0.5, -1])
def test_truncated_file_is_an_error_that_names_it(tmp_path, golden_flow, name, kept):
    whole = GOLDEN / name
    if name == "x.npz":
        whole = tmp_path / "whole.npz"
        write_flow(whole, golden_flow)
    data = whole.read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(kept * len(data)) if kept == 0.5 else kept])
    with pytest.raises(FlowBenchError, match=name):
        read_flow(path)


@pytest.mark.parametrize("name", ["a.flo", "d.pfm"])
def test_oversized_file_is_an_error_that_says_so(tmp_path, name):
    path = tmp_path / name
    path.write_bytes((GOLDEN / name).read_bytes() + b"\0\0\0\0")
    with pytest.raises(FlowBenchError, match=rf"{name}: oversized"):
        read_flow(path)


@pytest.mark.parametrize("wrong", [b"PIEX" + bytes(20), b"P6\n2 2\n255\n" + bytes(12), b"Pf\n1 1\n-1.0\n" + bytes(4)])
@pytest.mark.parametrize("suffix", [".flo", ".pfm", ".png", ".npz"])
def test_another_format_under_the_suffix_is_an_error(tmp_path, wrong, suffix):
    path = tmp_path / f"flow{suffix}"
    path.write_bytes(wrong)
    with pytest.raises(FlowBenchError, match=f"flow{suffix}"):
        read_flow(path)


@pytest.mark.parametrize("size", [(0, 4), (-1, 4), (4, 0)])
def test_flo_header_without_pixels_is_an_error(tmp_path, size):
    path = tmp_path / "flow.flo"
    path.write_bytes(np.float32(202021.25).tobytes() + np.array(size, "<i4").tobytes())
    with pytest.raises(FlowBenchError, match=r"flow\.flo.*damaged"):
        read_flow(path)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint16), np.zeros((4, 4, 4), np.uint16)]
)
def test_png_that_holds_no_kitti_flow_is_an_error(tmp_path, pixels):
    path = tmp_path / "flow.png"
    cv2.imwrite(str(path), pixels)
    with pytest.raises(FlowBenchError, match=r"flow\.png.*3 channels of uint16"):
        read_flow(path)


def test_npz_with_other_arrays_is_an_error(tmp_path):
    np.savez(tmp_path / "flow.npz", flow=np.zeros((2, 2, 2), np.float32))
    with pytest.raises(FlowBenchError, match=r"flow\.npz.*'valid'"):
        read_flow(tmp_path / "flow.npz")
    np.savez(tmp_path / "flow.npz", flow=np.zeros((2, 3), np.float32), valid=np.ones((2, 3), bool))
    with pytest.raises(FlowBenchError, match=r"flow\.npz.*\(2, 3\)"):
        read_flow(tmp_path / "flow.npz")


@pytest.mark.parametrize("suffix", [".flo", ".pfm", ".png", ".npz"])
def test_missing_file_is_an_error_that_names_it(tmp_path, suffix):
    with pytest.raises(FlowBenchError, match=f"gone{suffix}: no such file"):
        read_flow(tmp_path / f"gone{suffix}")


def test_unknown_suffix_is_an_error_that_lists_the_known(tmp_path):
    with pytest.raises(FlowBenchError, match=r"flow\.exr.*\.flo, \.pfm, \.png, \.npz"):
        read_flow(tmp_path / "flow.exr")
    with pytest.raises(FlowBenchError, match=r"flow\.exr"):
        write_flow(tmp_path / "flow.exr", np.zeros((2, 2, 2)))


@pytest.mark.parametrize("value", [-512.1, 512.0, 3000.0])
def test_flow_that_kitti_cannot_hold_is_an_error_and_no_file(tmp_path, value):
    flow = np.zeros((3, 3, 2), np.float32)
    flow[1, 1, 0] = value
    with pytest.raises(FlowBenchError, match=r"flow\.png.*-512 to 511\.98"):
        write_flow(tmp_path / "flow.png", flow)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".flo", ".pfm", ".png", ".npz"])
def test_what_is_no_flow_is_not_written(tmp_path, suffix):
    path = tmp_path / f"flow{suffix}"
    with pytest.raises(FlowBenchError, match=rf"flow{suffix}.*\(2, 4, 5\)"):
        write_flow(path, np.zeros((2, 4, 5)))
    with pytest.raises(FlowBenchError, match=rf"flow{suffix}.*valid has shape"):
        write_flow(path, np.zeros((4, 5, 2)), np.ones((5, 4), bool))
    with pytest.raises(FlowBenchError, match=rf"flow{suffix}.*not finite at 1 valid"):
        write_flow(path, np.array([[[0.0, np.nan], [0.0, 0.0]]]))
    assert list(tmp_path.iterdir()) == []


# Mean |flow|, mean absolute photometric error before and after warping frame 2 by the flow: each folder's source.txt.
PUBLISHED = {
    "kitti2012_000045": (10.654, 14.52, 5.97),
    "kitti2015_000010": (9.028, 18.77, 8.81),
    "sintel_alley_1_0002_final": (2.982, 7.11, 1.66),
    "middlebury_RubberWhale": (1.256, 5.71, 1.38),
}


@needs_real
@pytest.mark.parametrize("name", PUBLISHED)
def test_real_flow_explains_its_pictures(name):
    folder = REAL / name
    flow, valid = read_flow(folder / "flow.png")
    before, after = photometric_errors(folder / "frame1.png", folder / "frame2.png", flow, valid)
    magnitude = np.linalg.norm(flow[valid], axis=-1).mean()
    np.testing.assert_allclose([magnitude, before, after], PUBLISHED[name], atol=0.011)


@needs_real
def test_original_flo_explains_its_pictures():
    folder = REAL / "original"
    flow, valid = read_flow(folder / "0000005-gt.flo")
    assert flow.shape == (384, 512, 2)
    assert valid.all()
    before, after = photometric_errors(folder / "0000005-img0.ppm", folder / "0000005-img1.ppm", flow, valid)
    assert after < 0.5 * before


def photometric_errors(path1, path2, flow, valid):
    image1, image2 = read_image(path1), read_image(path2)
    height, width = valid.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    target_x, target_y = x + flow[..., 0], y + flow[..., 1]
    inside = valid & (target_x >= 0) & (target_x <= width - 1) & (target_y >= 0) & (target_y <= height - 1)
    warped = cv2.remap(image2, target_x, target_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.absdiff(image1, image2)[inside].mean(), cv2.absdiff(image1, warped)[inside].mean()


@pytest.mark.parametrize(
    ("shape", "hint"), [((2, 5, 7), "np.moveaxis(flow, 0, -1)"), ((1, 2, 5, 7), "one pair of the batch"), ((5, 7), "")]
)
def test_a_flow_of_another_shape_is_refused_with_what_to_do(tmp_path, shape, hint):
    with pytest.raises(FlowBenchError) as raised:
        write_flow(tmp_path / "flow.flo", np.zeros(shape, np.float32))
    assert f"flow has shape {shape}; (height, width, 2) is needed." in str(raised.value)
    assert hint in str(raised.value)
