"""Samplers: the samples that a process sees, and their order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler


@dataclass(frozen=True)
class Share:
    """The part of the work that this process does: `rank` of `world`."""

    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class Stage:
    """A stretch of a run.

    Args:
        first_step: The step that it begins with; it ends where the next stage begins.
        indices: The samples that it draws from.
    """

    first_step: int
    indices: range


class TrainingSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (position, index): the endless concatenation of shuffled passes over a stage's data, cut into steps.

    Position counts every sample of the run over all processes, so whatever is drawn from (seed, position) is drawn once,
    whichever process or worker draws it. A run that resumes at `first_step` sees what it would have seen.

    Args:
        stages: In the order of their steps, the first of which is 0.
        batch_size: Positions per step and process.
        first_step: The step that the first batch is for.
        last_step: The step before which the batches end.
        seed: Of the shuffles.
        share: The part of each step that this process does; all of it by default.
        crops: How many positions in a row have the same index. The sample is read once for them where they are
            read in one process, and each position augments it anew.
    """

    def __init__(
        self,
        *,
        stages: Sequence[Stage],
        batch_size: int,
        first_step: int,
        last_step: int,
        seed: int,
        share: Share | None = None,
        crops: int = 1,
    ) -> None:
        self.stages = stages
        self.batch_size = batch_size
        self.first_step = first_step
        self.last_step = last_step
        self.seed = seed
        self.share = share or Share()
        self.crops = crops

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        shuffled, shuffled_pass = np.empty(0), None
        for step in range(self.first_step, self.last_step):
            number = bisect_right([stage.first_step for stage in self.stages], step) - 1
            stage = self.stages[number]
            stage_start = stage.first_step * self.share.world * self.batch_size
            start = (step * self.share.world + self.share.rank) * self.batch_size
            batch = []
            for position in range(start, start + self.batch_size):
                drawn = (position - stage_start) // self.crops
                if (number, drawn // len(stage.indices)) != shuffled_pass:
                    shuffled_pass = number, drawn // len(stage.indices)
                    shuffled = self._shuffle(*shuffled_pass)
                batch.append((position, stage.indices[shuffled[drawn % len(stage.indices)]]))
            yield batch

    def _shuffle(self, stage: int, number: int) -> np.ndarray:
        words = (self.seed, number) if stage == 0 else (self.seed, number, stage)
        return np.random.default_rng(words).permutation(len(self.stages[stage].indices))


class EvaluationSampler(Sampler[int]):
    """Every sample exactly once over all processes, in order; shares may differ by one."""

    def __init__(self, *, size: int, share: Share | None = None) -> None:
        share = share or Share()
        self.indices = range(share.rank, size, share.world)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)
