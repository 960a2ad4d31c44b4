"""A file is either complete or as it was before."""

import os
import resource
import signal

import pytest
import torch

from flowbench.errors import FlowBenchError
from flowbench.io import written_aside


def test_file_appears_complete_in_a_new_folder(tmp_path):
    path = tmp_path / "new" / "numbers.json"
    with written_aside(path) as aside:
        assert aside.parent == path.parent
        assert aside.suffix == ".json"
        aside.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["numbers.json"]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "numbers.json"
    path.write_text("old")

    def fail():
        with written_aside(path) as aside:
            aside.write_text("half")
            raise KeyError("a failure of the caller's own")

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["numbers.json"]


@pytest.mark.parametrize("content", ["zeros", "checkpoint"])
def test_full_disk_is_an_error_that_names_the_file(tmp_path, content):
    write = write_zeros if content == "zeros" else write_checkpoint
    # A limit on the size of files is refused by the system in the middle of a write, as a full disk is.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(FlowBenchError, match=r"big\.bin: cannot be written .*free space"):
            write(tmp_path / "big.bin", 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == []


def test_folder_that_is_a_file_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "occupied").write_text("")
    with pytest.raises(FlowBenchError, match=r"occupied/big\.bin: cannot be written"):
        write_zeros(tmp_path / "occupied" / "big.bin", 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_missing_permission_is_an_error_that_names_the_file(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FlowBenchError, match=r"big\.bin: cannot be written .*permissions"):
        write_zeros(tmp_path / "big.bin", 1)


def write_zeros(path, count):
    with written_aside(path) as aside:
        aside.write_bytes(bytes(count))


def write_checkpoint(path, count):
    with written_aside(path) as aside, open(aside, "wb") as file:
        torch.save(torch.zeros(count), file)
