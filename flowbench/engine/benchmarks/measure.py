"""Measuring time, memory and arithmetic."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from flowbench.engine.run.devices import synchronize


@dataclass(frozen=True)
class Times:
    """Seconds a call."""

    median: float
    p90: float
    repeats: int


def time_calls(call: Callable[[], Any], device: torch.device, *, warm_up: int, repeats: int) -> Times:
    for _ in range(warm_up):
        call()
    seconds = [_seconds(call, device) for _ in range(repeats)]
    ranked = sorted(seconds)
    return Times(statistics.median(seconds), ranked[min(len(ranked) - 1, int(0.9 * len(ranked)))], repeats)


def _seconds(call: Callable[[], Any], device: torch.device) -> float:
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start


def matmul_rate(device: torch.device, dtype: torch.dtype, *, side: int = 3072, repeats: int = 5) -> float:
    """Floating-point operations a second of this machine's own square matrix multiply; the median of the repeats."""
    a = torch.randn(side, side, device=device).to(dtype)
    b = torch.randn(side, side, device=device).to(dtype)
    times = time_calls(lambda: a @ b, device, warm_up=2, repeats=repeats)
    return 2 * side**3 / times.median


def count_macs(call: Callable[[], Any]) -> int:
    """Multiply-accumulates of the convolutions and matrix products that a call carries out."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2


def peak_memory(call: Callable[[], Any], device: torch.device) -> int | None:
    """Bytes by which a call's peak lies above what was in use before it.

    CUDA: allocated tensors. CPU: the process's resident set, where the system tells its peak (Linux), else None.
    """
    if device.type == "cuda":
        synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    status, forget_peak = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        forget_peak.write_text("5")
        before = _kibibytes(status, "VmRSS")
        call()
        return 1024 * (_kibibytes(status, "VmHWM") - before)
    except OSError:
        return None


def _kibibytes(status: Path, field: str) -> int:
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines[field].split()[0])


def saved_for_backward(call: Callable[[], Any], parameters: list[Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass of a call: each storage once, the parameters left out."""
    known = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        # The result is held until the count is made, so that no storage is freed and its address used again.
        result = call()
    del result
    return sum(storages.values())
