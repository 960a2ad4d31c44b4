"""Settings of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from flowbench.engine.config.groups import group_config
from flowbench.engine.config.kinds import Amounts, Counts, FromZero, is_list
from flowbench.engine.run.settings import Settings, Split
from flowbench.errors import FlowBenchError
from flowbench.models.cascade import chosen_cascade
from flowbench.report.figure_files import check_figures


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(Settings):
    """What `evaluate` takes; conf/evaluate.yaml has the same names and defaults."""

    ckpt: str | Path | None = None
    """The checkpoint, ours or official, or the name of weights; it has to be given."""
    model: DictConfig | None = None
    """Of an official checkpoint, its model; of one of ours, changes of what it remembers."""
    data: DictConfig | tuple[DictConfig, ...] | None = None
    """One data set or several, or changes of the one that the checkpoint was trained on, which is the default."""
    split: Split = "test"
    """Which pairs of data."""
    iterations: Counts | None = None
    """Updates or solver steps; a list compares them; if None, those of data's protocol, or else the model's own."""
    threshold: Amounts | None = None
    """Of DeltaDEQ's rule; a list compares them with the dense solve; the model's own if None."""
    cascade: Literal["auto"] | Sequence[int] | None = None
    """Coarse to fine: factors such as [4, 2, 1], or auto; at once if None."""
    warm_start: bool = False
    """Start from the pair before of the sequence; needs data.eval_batch_size=1 and one process."""
    pictures: FromZero = 3
    """Images that the report shows of each: worst, median, best."""
    figures: Literal["pdf"] | None = None
    """pdf: the report's charts as files for a paper, too."""
    trainer: DictConfig = field(default_factory=lambda: group_config("trainer", "default"))
    """Devices, precision and the like."""
    paths: DictConfig | None = None
    """Where the data sets lie, if not where the checkpoint says."""

    def check(self) -> None:
        if not self.ckpt:
            raise FlowBenchError("No checkpoint was given, and fresh weights would score noise: add ckpt=<file>.")
        check_figures(self.figures)
        chosen_cascade(self.cascade, warm_start=self.warm_start)
        if is_list(self.iterations) and is_list(self.threshold):
            raise FlowBenchError(
                "iterations and threshold are both lists, but one table compares one of them: give a single number for the "
                "other."
            )
