"""Training samples: one data set or a mix of several, each with its own augmentation."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

import numpy as np
from torch.utils.data import Dataset

from flowbench.data.augmentation.base import Augmentation
from flowbench.data.sampler import Stage
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowDataset, FlowSample

# So many unreadable pairs after one another are no accident.
_MOST_SKIPPED = 20


@dataclass(frozen=True, init=False)
class Part:
    """A data set's share in a mix.

    Args:
        samples: The data set.
        augmentations: Applied to each sample in their order; a published composition of several may stand for one.
        times: How often a pass over the mix has each sample.
        until: The step of the run before which samples are drawn from this part, and from the parts with the same `until`
            alone; the parts with none follow when the others are over.
    """

    samples: FlowDataset
    augmentations: Sequence[Augmentation]
    times: int
    until: int | None

    def __init__(
        self,
        samples: FlowDataset,
        augmentations: Sequence[Augmentation | Sequence[Augmentation]] = (),
        times: int = 1,
        until: int | None = None,
    ) -> None:
        if type(times) is not int or times < 1:
            raise FlowBenchError(f"times={times}: how often a pass has each sample, a whole number above zero.")
        if until is not None and (type(until) is not int or until < 1):
            raise FlowBenchError(f"until={until}: a step of the run, a whole number above zero, or null is needed.")
        in_order = _one_after_the_other(augmentations)
        vars(self).update(samples=samples, augmentations=in_order, times=times, until=until)

    def __len__(self) -> int:
        return self.times * len(self.samples)


def _one_after_the_other(augmentations: Sequence[Augmentation | Sequence[Augmentation]]) -> list[Augmentation]:
    return [one for each in augmentations for one in (each if isinstance(each, Sequence) else [each])]


def readable_indices(samples: FlowDataset) -> tuple[list[int], list[str]]:
    """Reads every sample: the indices of those that can be read, and what is wrong with the others."""
    readable, wrong = [], []
    for index in range(len(samples)):
        try:
            _ = samples[index]
            readable.append(index)
        except FlowBenchError as error:
            wrong.append(str(error))
    return readable, wrong


class ChosenSamples(FlowDataset):
    """Some samples of a data set, by their indices there."""

    def __init__(self, samples: FlowDataset, indices: Sequence[int]) -> None:
        self.samples = samples
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> FlowSample:
        return self.samples[self.indices[index]]


class LenientSamples(FlowDataset):
    """Samples to measure on, of which one that can no longer be read is passed over: the next that can stands in its place,
    valid nowhere, so that it counts in no measure, and says what is wrong. Raises FlowBenchError for many in a row."""

    def __init__(self, samples: FlowDataset) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> FlowSample:
        sample = _next_readable(self.samples, index)
        return replace(sample, valid=np.zeros_like(sample.valid)) if sample.skipped else sample


class TrainingSamples(Dataset[FlowSample]):
    """The parts one after the other, addressed by (position in the run, index); augmentations draw from (seed, position).

    on_error: what an unreadable sample does, "raise", or "skip": the next one of its part takes its place, and says so.
    keep_last: whether the sample that was read last serves again where the next position has the same index, as crops of one
    sample do.
    """

    def __init__(self, parts: Sequence[Part], *, seed: int, on_error: str = "raise", keep_last: bool = False) -> None:
        if on_error not in ("raise", "skip"):
            raise FlowBenchError(f"on_error={on_error}: choose raise or skip.")
        # In the order of their stages.
        self.parts = sorted(parts, key=lambda part: math.inf if part.until is None else part.until)
        self.seed = seed
        self.on_error = on_error
        self._ends = list(accumulate(len(part) for part in self.parts))
        self.keep_last = keep_last
        self._last: tuple[int, FlowSample] | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def starts(self) -> list[int]:
        """The index of each part's first sample."""
        return [end - len(part) for end, part in zip(self._ends, self.parts)]

    def stages(self) -> list[Stage]:
        """The stretches of a run, each with the samples that it draws from."""
        stages = []
        first_step = 0
        for until, parts in groupby(zip(self.parts, self.starts()), key=lambda entry: entry[0].until):
            starts = [(start, start + len(part)) for part, start in parts]
            stages.append(Stage(first_step, range(starts[0][0], starts[-1][1])))
            first_step = until
        return stages

    def __getitem__(self, address: tuple[int, int]) -> FlowSample:
        position, index = address
        place = bisect_right(self._ends, index)
        part = self.parts[place]
        sample = self._sample(part, index, start=self._ends[place] - len(part))
        generator = np.random.default_rng((self.seed, position))
        for augmentation in part.augmentations:
            sample = augmentation(sample, generator)
        return sample

    def _sample(self, part: Part, index: int, *, start: int) -> FlowSample:
        if self._last is not None and self._last[0] == index:
            return self._last[1]
        sample = self._read(part.samples, (index - start) % len(part.samples))
        if self.keep_last:
            self._last = index, sample
        return sample

    def _read(self, samples: FlowDataset, index: int) -> FlowSample:
        if self.on_error == "raise":
            return samples[index]
        return _next_readable(samples, index)


def _next_readable(samples: FlowDataset, index: int) -> FlowSample:
    """The sample, or else the first readable one after it, which says what is wrong with those before."""
    skipped: list[str] = []
    for step in range(min(_MOST_SKIPPED, len(samples))):
        try:
            return replace(samples[(index + step) % len(samples)], skipped=tuple(skipped))
        except FlowBenchError as error:
            skipped.append(str(error))
    raise FlowBenchError(f"{len(skipped)} pairs in a row cannot be read, the last one: {skipped[-1]}")
