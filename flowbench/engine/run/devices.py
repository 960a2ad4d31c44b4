"""Device and precision of computations outside of Lightning's loops."""

from __future__ import annotations

import torch

from flowbench.engine.config.kinds import Precision, read
from flowbench.errors import FlowBenchError

_DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def chosen_device(name: str) -> torch.device:
    """The device of that name; "auto" is cuda where there is one, else cpu. Raises FlowBenchError for an absent one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    # Without CUDA in its build, torch raises an AssertionError.
    except (RuntimeError, AssertionError) as error:
        raise FlowBenchError(f"device={name} is not available here: leave device out, or set device=cpu.") from error


def synchronize(device: torch.device) -> None:
    """Waits until the device has computed what was asked of it; a CPU has at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def dtype_of(precision: str | int) -> torch.dtype:
    """The type that a model computes in at this precision, in whichever spelling."""
    return _DTYPES[read("precision", precision, Precision)]


def mixed_precision(device: torch.device, precision: str | int) -> torch.autocast:
    """Autocasting to the precision's type; switched off for 32-true."""
    dtype = dtype_of(precision)
    enabled = dtype != torch.float32
    return torch.autocast(device.type, dtype=dtype if enabled else None, enabled=enabled)
