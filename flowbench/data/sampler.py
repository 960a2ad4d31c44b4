"""Samplers: the samples that a process sees, and their order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler


@dataclass(frozen=True)
class ProcessRank:
    """This process among those of a run, from 0 to world_size - 1."""

    rank: int = 0
    world_size: int = 1


@dataclass(frozen=True)
class Stage:
    """A period of a run with training samples of its own.

    Args:
        first_step: The step that it begins with; it ends where the next stage begins.
        indices: The indices of its samples.
    """

    first_step: int
    indices: range


class TrainingSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (position, index): the endless concatenation of shuffled passes over a stage's data, cut into steps.

    The position counts the samples of the run over all processes, so that random draws from (seed, position) do not depend
    on the number of processes or workers. A run resumed at `first_step` sees the same samples as an unbroken one.

    Args:
        stages: In the order of their steps, the first of which is 0.
        batch_size: Positions per step and process.
        first_step: The step that the first batch is for.
        last_step: The step before which the batches end.
        seed: Of the shuffles.
        process: This process, which gets its part of each step; a single one by default.
        crops: Positions in a row with the same index. The sample is read once for them if one worker reads them all, and
            augmented anew for each.
    """

    def __init__(
        self,
        *,
        stages: Sequence[Stage],
        batch_size: int,
        first_step: int,
        last_step: int,
        seed: int,
        process: ProcessRank | None = None,
        crops: int = 1,
    ) -> None:
        self.stages = stages
        self.batch_size = batch_size
        self.first_step = first_step
        self.last_step = last_step
        self.seed = seed
        self.process = process or ProcessRank()
        self.crops = crops

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        shuffled, shuffled_pass = np.empty(0), None
        for step in range(self.first_step, self.last_step):
            number = bisect_right([stage.first_step for stage in self.stages], step) - 1
            stage = self.stages[number]
            stage_start = stage.first_step * self.process.world_size * self.batch_size
            start = (step * self.process.world_size + self.process.rank) * self.batch_size
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
    """Every sample exactly once over all processes, in order; the processes' counts differ by one at most."""

    def __init__(self, *, size: int, process: ProcessRank | None = None) -> None:
        process = process or ProcessRank()
        self.indices = range(process.rank, size, process.world_size)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)
