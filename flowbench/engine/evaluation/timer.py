"""The time of a network's estimates during a test."""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import nn
from torch.utils.hooks import RemovableHandle

from flowbench.engine.run.devices import synchronize
from flowbench.engine.run.gathering import from_all_processes


class NetworkTimer(Callback):
    """Times one network alone: no data, no padding of images, no metrics. Every test starts anew."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._seconds: list[float] = []
        self._start = 0.0
        self._handles: list[RemovableHandle] = []

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._seconds = []
        self._handles = [
            self._network.register_forward_pre_hook(self._begin),
            self._network.register_forward_hook(self._end),
        ]

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._remove()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._remove()

    def seconds_per_pair(self) -> float:
        """The median over all batches of all processes; each process's first one is its warm-up, and counts only if alone."""
        shares = from_all_processes(self._seconds)
        return statistics.median(seconds for share in shares for seconds in share[1:] or share)

    def _begin(self, network: nn.Module, images: tuple[Any, ...]) -> None:
        synchronize(images[0].device)
        self._start = time.perf_counter()

    def _end(self, network: nn.Module, images: tuple[Any, ...], output: Any) -> None:
        synchronize(images[0].device)
        self._seconds.append((time.perf_counter() - self._start) / len(images[0]))

    def _remove(self) -> None:
        for handle in self._handles:
            handle.remove()
