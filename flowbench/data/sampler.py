"""Which samples a process sees, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler


@dataclass(frozen=True)
class Share:
    """The part of the work that this process does: `rank` of `world`."""

    rank: int = 0
    world: int = 1


class TrainingSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (position, index): the endless concatenation of shuffled passes over the data, cut into steps.

    Position counts every sample of the run over all processes, so whatever is drawn from (seed, position) is drawn once,
    whichever process or worker draws it. A run that resumes at `first_step` sees what it would have seen.

    Args:
        size: Number of samples in a pass.
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
        size: int,
        batch_size: int,
        first_step: int,
        last_step: int,
        seed: int,
        share: Share | None = None,
        crops: int = 1,
    ) -> None:
        self.size = size
        self.batch_size = batch_size
        self.first_step = first_step
        self.last_step = last_step
        self.seed = seed
        self.share = share or Share()
        self.crops = crops

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        shuffled, shuffled_pass = np.empty(0), -1
        for step in range(self.first_step, self.last_step):
            start = (step * self.share.world + self.share.rank) * self.batch_size
            batch = []
            for position in range(start, start + self.batch_size):
                drawn = position // self.crops
                if drawn // self.size != shuffled_pass:
                    shuffled_pass = drawn // self.size
                    shuffled = self._shuffle(shuffled_pass)
                batch.append((position, int(shuffled[drawn % self.size])))
            yield batch

    def _shuffle(self, number: int) -> np.ndarray:
        return np.random.default_rng((self.seed, number)).permutation(self.size)


class EvaluationSampler(Sampler[int]):
    """Every sample exactly once over all processes, in order; shares may differ by one."""

    def __init__(self, *, size: int, share: Share | None = None) -> None:
        share = share or Share()
        self.indices = range(share.rank, size, share.world)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)
