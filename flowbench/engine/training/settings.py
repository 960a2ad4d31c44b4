"""Settings of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from omegaconf import DictConfig, OmegaConf

from flowbench.engine.config.arguments import literal
from flowbench.engine.config.groups import program_config
from flowbench.engine.config.kinds import Range
from flowbench.engine.run.settings import Settings, settings_of


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Settings):
    """What `train` takes: the groups of conf/train.yaml as they are composed, and what stands beside them."""

    model: DictConfig
    """The network, its objective and how it fits images."""
    data: DictConfig
    """What is trained, validated and tested on."""
    schedule: DictConfig
    """Steps, batch size, crop, optimiser and learning rate."""
    trainer: DictConfig
    """Devices, precision and the like."""
    logger: DictConfig | None = None
    """Loggers by name, beside metrics.csv."""
    callbacks: DictConfig | None = None
    """Lightning's callbacks by name."""
    paths: DictConfig | None = None
    """Where the data sets lie."""
    source: str | None = None
    """Of the recipe, which says so itself."""
    seed: Annotated[int, Range(0, most=2**32 - 1)] = 0
    """Of weights, samples and augmentation."""
    init: str | Path | None = None
    """Start from the weights of this checkpoint, ours or official."""
    resume: str | Path | None = None
    """Continue the run in this folder, exactly; the other settings are then those of that run."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """What else stands in the config, to which the groups may refer."""

    @classmethod
    def composed(cls, *words: str) -> TrainSettings:
        """Those of a command line, for instance TrainSettings.composed("model=raft_small", "schedule.steps=100")."""
        return cls.of(program_config("train", words))

    @classmethod
    def of(cls, config: DictConfig) -> TrainSettings:
        """Those of a composed config of conf/train.yaml."""
        return settings_of(cls, config)

    def config(self) -> DictConfig:
        """All of it as one config, in which each value finds what it refers to."""
        groups = ("model", "data", "schedule", "paths", "trainer", "logger", "callbacks")
        values = {name: getattr(self, name) for name in groups}
        plain = {"source": self.source, "seed": self.seed, "init": _text(self.init), "resume": _text(self.resume)}
        return OmegaConf.create({**plain, **self.others, **values})


def _text(path: str | Path | None) -> str | None:
    return None if path is None else literal(str(path))
