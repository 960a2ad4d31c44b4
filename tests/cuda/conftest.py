"""The device of these tests: cuda, or what FLOWBENCH_TEST_DEVICE names.

FLOWBENCH_TEST_DEVICE=cpu runs them without a graphics card, to see that they are right themselves.
"""

import os

import pytest
import torch


@pytest.fixture(scope="session")
def device():
    name = os.environ.get("FLOWBENCH_TEST_DEVICE", "cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("PyTorch finds no CUDA device (FLOWBENCH_TEST_DEVICE=cpu runs these tests on the CPU)")
    return torch.device(name)


@pytest.fixture(autouse=True)
def _full_float32():
    """TF32, which PyTorch takes for convolutions by default, keeps 10 bits: too few to compare with the CPU within 1e-3."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    yield
    torch.backends.cudnn.allow_tf32 = before
