"""Flow files of HDF5 whose values lie in another file: none is read."""

import h5py
import numpy as np
import pytest

from flowbench.errors import FlowBenchError
from flowbench.io import read_flow

SHAPE = (4, 6, 2)
SECRET = np.full(SHAPE, 7, np.float32)


@pytest.fixture
def secret(tmp_path):
    SECRET.tofile(tmp_path / "secret.bin")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["flow"] = SECRET
    return tmp_path


def external_storage(file, folder):
    file.create_dataset("flow", SHAPE, np.float32, external=[(str(folder / "secret.bin"), 0, SECRET.nbytes)])


def external_link(file, folder):
    file["flow"] = h5py.ExternalLink(str(folder / "secret.h5"), "/flow")


def soft_link(file, folder):
    file["theirs"] = h5py.ExternalLink(str(folder / "secret.h5"), "/flow")
    file["flow"] = h5py.SoftLink("/theirs")


def virtual_set(file, folder):
    layout = h5py.VirtualLayout(SHAPE, np.float32)
    layout[...] = h5py.VirtualSource(str(folder / "secret.h5"), "flow", SHAPE)
    file.create_virtual_dataset("flow", layout)


@pytest.mark.parametrize("write", [external_storage, external_link, soft_link, virtual_set])
def test_values_of_another_file_are_not_read(write, secret):
    with h5py.File(secret / "flow.flo5", "w") as file:
        write(file, secret)
    with h5py.File(secret / "flow.flo5") as file:
        # HDF5 itself would follow it.
        np.testing.assert_array_equal(file["flow"][()], SECRET)
    with pytest.raises(FlowBenchError, match=r"flow\.flo5: .*Only values in the file itself are read"):
        read_flow(secret / "flow.flo5")


def test_values_of_the_file_itself_are_read(secret):
    (secret / "secret.h5").rename(secret / "own.flo5")
    np.testing.assert_array_equal(read_flow(secret / "own.flo5")[0], SECRET)
