"""Flow in TartanAir's .npy and in Spring's .flo5."""

import builtins
import pickle

import h5py
import numpy as np
import pytest

from flowbench.errors import FlowBenchError
from flowbench.io import read_flow, write_flow


@pytest.fixture
def flow():
    return np.random.default_rng(0).normal(0, 20, (6, 8, 2)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".npy", ".flo5"])
def test_unknown_pixels_survive_a_round_trip_as_invalid_and_zero(tmp_path, flow, suffix):
    valid = np.random.default_rng(1).random(flow.shape[:2]) > 0.3
    write_flow(tmp_path / f"flow{suffix}", flow, valid)
    read, read_valid = read_flow(tmp_path / f"flow{suffix}")
    assert (read.dtype, read_valid.dtype) == (np.float32, bool)
    np.testing.assert_array_equal(read_valid, valid)
    np.testing.assert_array_equal(read, np.where(valid[..., None], flow, 0))


def test_flo5_is_stored_as_spring_stores_it(tmp_path, flow):
    write_flow(tmp_path / "flow.flo5", flow, np.eye(6, 8) == 0)
    with h5py.File(tmp_path / "flow.flo5") as file:
        assert list(file) == ["flow"]
        assert (file["flow"].dtype, file["flow"].shape) == (np.float32, (6, 8, 2))
        assert file["flow"].compression == "gzip"
        np.testing.assert_array_equal(np.isnan(file["flow"][()]).all(axis=-1), np.eye(6, 8) > 0)


def test_flow_of_no_known_pixel_is_read_as_such(tmp_path, flow):
    write_flow(tmp_path / "flow.flo5", flow, np.zeros((6, 8), bool))
    read, valid = read_flow(tmp_path / "flow.flo5")
    assert not valid.any()
    assert not read.any()


def test_the_most_compressible_flow_is_not_taken_for_damaged(tmp_path):
    still = np.zeros((700, 900, 2), np.float32)
    for suffix in (".flo5", ".npz", ".npy"):
        write_flow(tmp_path / f"flow{suffix}", still)
        read, valid = read_flow(tmp_path / f"flow{suffix}")
        assert read.shape == still.shape
        assert valid.all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
def test_npy_of_other_orders_and_precisions_are_read(tmp_path, flow, order, dtype):
    np.save(tmp_path / "flow.npy", np.asarray(flow, dtype=dtype, order=order))
    np.testing.assert_array_equal(read_flow(tmp_path / "flow.npy")[0], flow.astype(dtype).astype(np.float32))


def test_numbers_beyond_single_precision_are_unknown(tmp_path):
    np.save(tmp_path / "flow.npy", np.array([[[1e300, 0.0], [1.0, 2.0]]]))
    flow, valid = read_flow(tmp_path / "flow.npy")
    assert valid.tolist() == [[False, True]]
    assert flow.tolist() == [[[0, 0], [1, 2]]]


def test_stored_objects_are_never_run(tmp_path):
    class Harm:
        def __reduce__(self):
            return (pytest.fail, ("a stored object was run",))

    np.save(tmp_path / "flow.npy", np.array([Harm()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "flow.npz", flow=np.array([Harm()], dtype=object), valid=np.ones(1, bool))
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(Harm()))
    for name in ("flow.npy", "flow.npz", "plain.npy"):
        with pytest.raises(FlowBenchError, match=name):
            read_flow(tmp_path / name)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3), (2, 3, 4, 2), (0, 4, 2)])
def test_arrays_that_are_no_flow_are_errors(tmp_path, shape):
    np.save(tmp_path / "flow.npy", np.zeros(shape, np.float32))
    with h5py.File(tmp_path / "flow.flo5", "w") as file:
        file["flow"] = np.zeros(shape, np.float32)
    for name in ("flow.npy", "flow.flo5"):
        with pytest.raises(FlowBenchError, match=rf"{name}: .*(needed|damaged)"):
            read_flow(tmp_path / name)


def test_flo5_without_flow_is_an_error_that_lists_what_is_there(tmp_path):
    with h5py.File(tmp_path / "disparity.flo5", "w") as file:
        file["disparity"] = np.zeros((3, 4), np.float32)
    with pytest.raises(FlowBenchError, match=r"disparity\.flo5: .*'flow'.*\['disparity'\]"):
        read_flow(tmp_path / "disparity.flo5")


def test_missing_h5py_is_an_error_that_says_what_to_install(tmp_path, flow, monkeypatch):
    write_flow(tmp_path / "flow.flo5", flow)
    whole_import = builtins.__import__

    def without_h5py(name, *arguments, **options):
        if name == "h5py":
            raise ImportError(name)
        return whole_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_h5py)
    for act in (lambda: read_flow(tmp_path / "flow.flo5"), lambda: write_flow(tmp_path / "new.flo5", flow)):
        with pytest.raises(FlowBenchError, match=r"\.flo5: .*pip install optical-flowbench\[spring\]"):
            act()
