"""Timing of a network's estimates during a test."""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from flowbench.engine.run.gathering import from_all_processes
from flowbench.models.base import as_flow_model


class NetworkTimer(Callback):
    """Times the network alone: no data, no fitting of pictures, no metrics. Every test starts anew."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._start = 0.0
        self._handles: list[RemovableHandle] = []

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._seconds = []
        network = as_flow_model(pl_module).network
        self._handles = [network.register_forward_pre_hook(self._begin), network.register_forward_hook(self._end)]

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._remove()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._remove()

    def seconds_per_pair(self) -> float:
        """The median over all batches of all processes; each process's first one is its warm-up, and counts only if alone."""
        shares = from_all_processes(self._seconds)
        return statistics.median(seconds for share in shares for seconds in share[1:] or share)

    def _begin(self, network: nn.Module, pictures: tuple[Any, ...]) -> None:
        _finish(pictures[0])
        self._start = time.perf_counter()

    def _end(self, network: nn.Module, pictures: tuple[Any, ...], output: Any) -> None:
        _finish(pictures[0])
        self._seconds.append((time.perf_counter() - self._start) / len(pictures[0]))

    def _remove(self) -> None:
        for handle in self._handles:
            handle.remove()


def _finish(picture: Tensor) -> None:
    if picture.device.type == "cuda":
        torch.cuda.synchronize(picture.device)
