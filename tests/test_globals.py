"""The guard that every test runs under."""

import os
import sys
import warnings

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from support.globals import left_as_found


def _changes(patch):
    return {
        "environment": lambda: patch.setenv("FLOWBENCH_TEST_NAME", "left"),
        "working folder": lambda: patch.chdir(os.path.sep),
        "arguments": lambda: patch.setattr(sys, "argv", ["left"]),
        "Hydra": lambda: patch.setattr(HydraConfig.instance(), "cfg", {"left": True}),
        "warning filters": lambda: warnings.simplefilter("error"),
        "torch": lambda: torch.set_default_dtype(torch.float64),
    }


@pytest.mark.parametrize("name", _changes(None))
def test_what_a_test_leaves_changed_is_named(name):
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        try:
            with pytest.raises(AssertionError, match=f"left changed .*'{name}'"), left_as_found():
                _changes(patch)[name]()
        finally:
            torch.set_default_dtype(torch.float32)
