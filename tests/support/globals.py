"""What the tests of one process share, and each must therefore leave as it was."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

# pytest tells the test that runs, and PyTorch's compiler where it keeps what it compiled.
_SET_BY_LIBRARIES = ("PYTEST_CURRENT_TEST", "TORCHINDUCTOR_", "TRITON_")


@contextmanager
def left_as_found() -> Iterator[None]:
    """Fails where something was changed inside and not put back."""
    before = _state()
    yield
    after = _state()
    changed = {name: sorted(before[name] ^ after[name]) for name in before if before[name] != after[name]}
    assert not changed, f"left changed (before and now): {changed}"


def _state() -> dict[str, set[str]]:
    """Each global as a set of texts, so that two states may be compared and their difference be told."""
    environment = {f"{name}={value}" for name, value in os.environ.items() if not name.startswith(_SET_BY_LIBRARIES)}
    return {
        "Hydra": {f"running: {GlobalHydra().is_initialized()}", f"config: {HydraConfig.initialized()}"},
        "environment": environment,
        "torch": {
            f"default dtype {torch.get_default_dtype()}",
            f"threads {torch.get_num_threads()}",
            f"gradients {torch.is_grad_enabled()}",
            f"deterministic {torch.are_deterministic_algorithms_enabled()}",
            f"float32 products {torch.get_float32_matmul_precision()}",
            f"TF32 in convolutions {torch.backends.cudnn.allow_tf32}",
        },
        "working folder": {os.getcwd()},
        "arguments": {str(sys.argv)},
        # Libraries add filters for warnings of their own when they are first imported.
        "warning filters": {str(each) for each in warnings.filters if each[2].__module__ == "builtins"},
    }
