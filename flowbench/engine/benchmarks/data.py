"""CPU time of a training pair: to read, and to augment."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from flowbench.configs import build
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.mixing import TrainingSamples
from flowbench.data.sample_trees import write_tree
from flowbench.engine.benchmarks.settings import BenchmarkSettings
from flowbench.engine.config.groups import data_config
from flowbench.structures import FlowDataset, FlowSample

Row = dict[str, Any]


def data_rows(settings: BenchmarkSettings) -> list[Row]:
    """The training data, and data=chairs on files that are made for it, without and with data.cache (its second pass).

    Each is augmented and cut by its own config, in one process on one core, for settings.seconds. Times are processor time,
    which other programs on the machine change little; pairs/s are given by the clock, too.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    chosen = build(settings.data, crop=settings.schedule.crop)
    chosen.split("train")  # is there
    return [_row(chosen.name, chosen.train, settings.seconds), *_chairs_rows(settings)]


def _chairs_rows(settings: BenchmarkSettings) -> list[Row]:
    made = settings.chairs_files
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "FlyingChairs_release")
        write_tree("chairs", root, pairs=made.pairs, size=tuple(made.size))
        chairs = data_config("chairs", [f"roots.chairs='{root}'"])
        read: FlowDataModule = build(chairs, crop=made.crop)
        kept: FlowDataModule = build(chairs, crop=made.crop, cache={"folder": f"{folder}/cache", "gigabytes": 1000})
        for index in range(len(kept.train)):
            _ = kept.train[0, index]
        return [
            _row("chairs files", read.train, settings.seconds),
            _row("chairs files, cached", kept.train, settings.seconds),
        ]


def _row(name: str, samples: TrainingSamples, seconds: float) -> Row:
    readings = [_Timed(part.samples) for part in samples.parts]
    parts = [replace(part, samples=reading) for part, reading in zip(samples.parts, readings)]
    timed = TrainingSamples(parts, seed=samples.seed)
    sample, pairs, by_clock, by_processor = _drawn(timed, seconds)
    reading = sum(each.seconds for each in readings)
    height, width = sample.flow.shape[:2]
    return {
        "data": name,
        "size": f"{height}x{width}",
        "pairs": pairs,
        "seconds": by_clock,
        "pairs/s a core": pairs / by_processor,
        "pairs/s by the clock": pairs / by_clock,
        "reading (ms)": 1e3 * reading / pairs,
        "augmenting (ms)": 1e3 * (by_processor - reading) / pairs,
    }


def _drawn(samples: TrainingSamples, seconds: float) -> tuple[FlowSample, int, float, float]:
    """The last sample, how many there were, and the seconds that they took: by the clock, and of the processor."""
    generator = np.random.default_rng(0)
    start, start_of_processor, pairs = time.perf_counter(), time.process_time(), 0
    while pairs == 0 or time.perf_counter() - start < seconds:
        # From all parts of a mix alike.
        sample = samples[pairs, int(generator.integers(len(samples)))]
        pairs += 1
    return sample, pairs, time.perf_counter() - start, time.process_time() - start_of_processor


class _Timed(FlowDataset):
    """Samples, and the seconds of processor time that it took to get them."""

    def __init__(self, samples: FlowDataset) -> None:
        self.samples = samples
        self.seconds = 0.0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> FlowSample:
        start = time.process_time()
        sample = self.samples[index]
        self.seconds += time.process_time() - start
        return sample
