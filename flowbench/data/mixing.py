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

# So many unreadable pairs in a row are no accident: the folder itself has a problem.
_MOST_SKIPPED = 20


@dataclass(frozen=True, init=False)
class Part:
    """One data set of a mix.

    Args:
        samples: The data set.
        augmentations: Applied to each sample in this order; an entry may be a list of several.
        times: Repetitions of each sample per pass over the mix.
        until: The step of the run before which only this part, and parts with the same `until`, are drawn from; parts
            without one follow afterwards.
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
        vars(self).update(samples=samples, augmentations=_flattened(augmentations), times=times, until=until)

    def __len__(self) -> int:
        return self.times * len(self.samples)


def _flattened(augmentations: Sequence[Augmentation | Sequence[Augmentation]]) -> list[Augmentation]:
    lists = [list(entry) if isinstance(entry, Sequence) else [entry] for entry in augmentations]
    return [augmentation for entry in lists for augmentation in entry]


def readable_indices(samples: FlowDataset) -> tuple[list[int], list[str]]:
    """Reads every sample: the indices of those that can be read, and the errors of the others."""
    readable, errors = [], []
    for index in range(len(samples)):
        try:
            _ = samples[index]
            readable.append(index)
        except FlowBenchError as error:
            errors.append(str(error))
    return readable, errors


class ChosenSamples(FlowDataset):
    """Some samples of a data set, by their indices there."""

    def __init__(self, samples: FlowDataset, indices: Sequence[int]) -> None:
        self.samples = samples
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> FlowSample:
        return self.samples[self.indices[index]]


class SkippingSamples(FlowDataset):
    """Samples of an evaluation that skips unreadable ones.

    An unreadable sample is replaced by the next readable one, marked as valid nowhere, so that it counts in no metric, and
    with the error in `skipped`. Raises FlowBenchError for many in a row.
    """

    def __init__(self, samples: FlowDataset) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> FlowSample:
        sample = _next_readable(self.samples, index)
        return replace(sample, valid=np.zeros_like(sample.valid)) if sample.skipped else sample


class TrainingSamples(Dataset[FlowSample]):
    """The parts one after the other, addressed by (position in the run, index); augmentations draw from (seed, position).

    Args:
        parts: in any order; they are sorted by their stages.
        seed: of the augmentations.
        on_error: for an unreadable sample, "raise", or "skip": the next one of its part replaces it, with the error in
            `skipped`.
        keep_last: uses the sample that was read last again where the next position has the same index, as several crops of
            one sample have.
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
        """The stages of a run, in their order."""
        stages = []
        first_step = 0
        for until, parts in groupby(zip(self.parts, self.starts()), key=lambda entry: entry[0].until):
            starts = [(start, start + len(part)) for part, start in parts]
            stages.append(Stage(first_step, range(starts[0][0], starts[-1][1])))
            first_step = until
        return stages

    def __getitem__(self, address: tuple[int, int]) -> FlowSample:
        position, index = address
        part_index = bisect_right(self._ends, index)
        part = self.parts[part_index]
        sample = self._sample(part, index, start=self._ends[part_index] - len(part))
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
    """The sample, or else the first readable one after it, with the errors of those before it in `skipped`."""
    skipped: list[str] = []
    for step in range(min(_MOST_SKIPPED, len(samples))):
        try:
            return replace(samples[(index + step) % len(samples)], skipped=tuple(skipped))
        except FlowBenchError as error:
            skipped.append(str(error))
    raise FlowBenchError(f"{len(skipped)} pairs in a row cannot be read, the last one: {skipped[-1]}")
