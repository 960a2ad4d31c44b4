"""Settings of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from flowbench.engine.config.kinds import Amounts, Count, FromZero, Positive, Precisions, Size
from flowbench.engine.run.settings import Settings
from flowbench.errors import FlowBenchError

SUBJECTS = ("model", "train", "lookup", "local", "data", "delta")


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings(Settings):
    """What `benchmark` takes; conf/benchmark.yaml has the same names and defaults."""

    subject: str = "model"
    """What is measured: one of SUBJECTS."""
    model: DictConfig
    """The network of model and delta."""
    data: DictConfig
    """The data of data, whose training samples are drawn."""
    schedule: DictConfig
    """Of it, the crop of training samples is used."""
    ckpt: str | Path | None = None
    """The checkpoint that delta solves with."""
    size: Size = (440, 1024)
    """Height and width, pixels."""
    batch_size: Count = 1
    """Pairs at once."""
    iterations: Count | None = None
    """Updates or solver steps; the model's own if None."""
    precision: Precisions = ("32-true",)
    """What the network computes in, one or several."""
    training: bool = False
    """Measure a training step as well."""
    device: str = "auto"
    """auto (cuda where there is one, else cpu), cpu, cuda, cuda:1, ..."""
    warm_up: FromZero = 2
    """Calls before those that are timed."""
    repeats: Count = 10
    """Calls that are timed."""
    seconds: Positive = 10
    """How long each row of the data is measured."""
    chairs_files: DictConfig = field(
        default_factory=lambda: DictConfig({"pairs": 16, "size": [384, 512], "crop": [368, 496]})
    )
    """pairs, size and crop of the files that are made in a temporary folder for data's other rows."""
    pair: tuple[str | Path, str | Path] = ("assets/sintel/frame_0016.png", "assets/sintel/frame_0017.png")
    """The images that delta solves."""
    thresholds: Amounts = (0.005, 0.01, 0.02)
    """Of delta's rules."""
    rules: Sequence[Literal["element", "pixel"]] = ("element", "pixel")
    """Of delta."""
    variants: DictConfig = field(default_factory=lambda: DictConfig({}))
    """What train compares: by name, a model and changes of its config."""

    def check(self) -> None:
        if self.subject not in SUBJECTS:
            raise FlowBenchError(f"Unknown subject '{self.subject}': choose {', '.join(SUBJECTS)}.")
        if self.subject == "delta" and not self.ckpt:
            raise FlowBenchError("delta compares solves of trained weights: add ckpt=<a checkpoint of DEQ-Flow>.")
