"""Settings of the analysis of a solve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from flowbench.engine.config.kinds import Count, Positives
from flowbench.engine.run.settings import Settings
from flowbench.errors import FlowBenchError
from flowbench.report.figure_files import check_figures


@dataclass(frozen=True, kw_only=True)
class AnalyseSettings(Settings):
    """What `analyse` takes; conf/analyse.yaml has the same names and defaults."""

    ckpt: str | Path | None = None
    """The checkpoint, ours or official, or the name of weights; it has to be given."""
    model: DictConfig | None = None
    """Of an official checkpoint, its model; of one of ours, changes of what it remembers."""
    input: str | Path | Sequence[str | Path] = ("assets/sintel/frame_0016.png", "assets/sintel/frame_0017.png")
    """Two images; of more, or of a video, the first two."""
    iterations: Count = 60
    """Steps of the solver; all are taken, wherever the model would stop."""
    damping: float = 0.9
    """z <- (1 - damping) z + damping f(z)."""
    tolerance: Positives = (0.01, 0.001)
    """Of a dimension's change; coordinates are pixels at 1/8 of the resolution."""
    threshold: float = 0.01
    """Of the delta rules."""
    scale: Literal["relative", "absolute"] = "relative"
    """Of the delta rules' threshold."""
    memory: Literal["bounded", "reference"] = "bounded"
    """Of the delta rules."""
    device: str = "auto"
    """auto (cuda where there is one, else cpu), cpu, cuda, cuda:1, ..."""
    figures: Literal["pdf"] | None = None
    """pdf: the charts as files for a paper, too."""

    def check(self) -> None:
        if not self.ckpt:
            raise FlowBenchError("No checkpoint was given, and fresh weights tell nothing: add ckpt=<file>.")
        check_figures(self.figures)
