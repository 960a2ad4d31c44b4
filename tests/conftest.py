import gc
import importlib
import os

import cv2
import pytest
import torch
from support.globals import left_as_found

# Two pytest processes share two cores; more threads would fight over them.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["WANDB_MODE"] = "offline"
torch.set_num_threads(1)
cv2.setNumThreads(0)
# Its import changes the environment and the filters of warnings, which no test may.
importlib.import_module("pytorch_lightning")

# The files that take longest, longest first: begun last, one of them would keep one process busy while the others wait.
LONGEST = (
    "test_export",
    "test_wheel",
    "test_processes",
    "test_resume",
    "test_endings",
    "test_configs",
    "test_train_batch_norm",
    "test_fuzz",
)


def pytest_collection_finish():
    """What is imported by now stays: to the garbage collector it is a million objects, a tenth of the time of all tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(items):
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(autouse=True, scope="module")
def _file_leaves_globals_as_found():
    """Fixtures that a file's tests share come and go outside of the tests."""
    with left_as_found():
        yield


@pytest.fixture(autouse=True)
def _test_leaves_globals_as_found(_file_leaves_globals_as_found):
    with left_as_found():
        yield


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
