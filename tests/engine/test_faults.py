"""Faults of the machine as a user reads them."""

import errno
import multiprocessing

import numpy as np
import pytest
import torch
from support.runs import run_here

from flowbench.engine.run import Run
from flowbench.engine.run.faults import fault
from flowbench.engine.training.settings import TrainSettings


def cpu_tensor():
    torch.empty(1 << 60, dtype=torch.uint8)


def array():
    np.empty(1 << 60, dtype=np.uint8)


def gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 1 GiB")


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (cpu_tensor, "The machine's memory does not suffice (1,073,741,824.0 GiB more were asked for): use a smaller"),
        (array, "The machine's memory does not suffice (1.00 EiB more were asked for): use a smaller"),
        (gpu, "The GPU's memory does not suffice (2.50 GiB more were asked for): use a smaller schedule.batch_size"),
    ],
)
def test_too_little_memory_is_a_sentence_with_the_remedy(fail, told, tmp_path):
    def train(settings: TrainSettings, run: Run):
        fail()

    ended = run_here(train, "train", f"hydra.run.dir={tmp_path}")
    assert ended.code == 1
    assert f"error: {told}" in ended.told
    assert "model.network.correlation=on_demand" in ended.told
    assert "Traceback" not in ended.told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "The machine's memory does not suffice"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many files are open"),
        (
            RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)"),
            "Shared memory (/dev/shm)",
        ),
        (
            RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
            "A data-loading process ended without a word",
        ),
        (RuntimeError("unable to open shared memory object: Too many open files (24)"), "Too many files are open"),
    ],
)
def test_other_faults_are_known(error, told):
    assert fault(error).startswith(told)


def test_a_line_to_a_process_that_broke_off_is_no_file():
    ours, theirs = multiprocessing.Pipe()
    theirs.close()
    with pytest.raises(EOFError) as caught:
        ours.recv()
    assert fault(caught.value).startswith("A data-loading process ended without a word")


def test_an_error_of_the_program_is_no_fault_of_the_machine():
    assert fault(RuntimeError("shape '[2]' is invalid for input of size 3")) is None
    assert fault(OSError(errno.ENOENT, "No such file or directory")) is None
