"""Inventory of the data sets that a training or an evaluation would use, before any file is opened."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flowbench.data.datamodule import FlowDataModule
from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowDataset


@dataclass(frozen=True)
class Listing:
    """A list of pairs, and everything that uses it.

    uses: "train/kitti x200", "val", "test/kitti". tree: which of several trees lies under the root, where the data set has
    several. pairs: their files; none for built-in scenes. used: how many pairs it has. found: how many there are of what
    was chosen, whatever the data set's own at_most says. published: how many there should be, None where nobody says.
    left_out: what is told of files that belong to no pair. error: why it could not be listed.
    """

    title: str
    uses: tuple[str, ...]
    samples: FlowDataset
    root: str | None = None
    tree: str | None = None
    pairs: Sequence[PairPaths] = ()
    used: int = 0
    found: int = 0
    published: int | None = None
    left_out: Sequence[str] = ()
    error: str | None = None

    @property
    def completeness(self) -> str | None:
        """What was found against what was published; None where there is nothing to compare."""
        if self.published is None or self.error is not None:
            return None
        missing = self.published - self.found
        if missing == 0:
            return "complete"
        return f"{missing} missing" if missing > 0 else f"{-missing} more"

    def places(self, at_most: int) -> list[int]:
        """Indices of at most so many pairs, evenly spaced."""
        count = min(at_most, self.used)
        return [place * self.used // count for place in range(count)]

    def identity(self) -> Hashable:
        """What two listings share that list the same."""
        if self.error is not None:
            return self.title, self.root, self.error
        return (self.title, self.root, tuple(self.pairs)) if self.pairs else id(self.samples)


def listings(modules: Sequence[FlowDataModule]) -> list[Listing]:
    """Each distinct list of pairs once. What cannot be listed has an error; nothing is raised."""
    distinct: dict[Hashable, Listing] = {}
    for use, samples in _uses(modules):
        listing = _listed(use, samples)
        before = distinct.get(listing.identity())
        distinct[listing.identity()] = listing if before is None else replace(before, uses=(*before.uses, use))
    return list(distinct.values())


def mixes(modules: Iterable[FlowDataModule]) -> dict[str, list[dict[str, Any]]]:
    """Of each data with training parts, by its name: one row a part; pairs are None where it could not be listed."""
    return {data.name: [_part_row(name, data) for name in data.parts] for data in modules if data.parts}


def pass_length(mix: Sequence[Mapping[str, Any]]) -> int | None:
    """Pairs of a pass over a mix; None where a part could not be listed."""
    counts = [row["pairs a pass"] for row in mix]
    return None if None in counts else sum(counts)


def _part_row(name: str, data: FlowDataModule) -> dict[str, Any]:
    part = data.parts[name]
    pairs = _listed(name, part.samples).used or None
    return {"part": name, "pairs": pairs, "times": part.times, "pairs a pass": pairs and pairs * part.times}


def _uses(modules: Sequence[FlowDataModule]) -> Iterator[tuple[str, FlowDataset]]:
    for data in modules:
        owner = f"{data.name} " if len(modules) > 1 else ""
        for name, part in data.parts.items():
            yield f"{owner}train/{name}{f' x{part.times}' if part.times > 1 else ''}", part.samples
        if data.val is not None:
            yield f"{owner}val", data.val
        for split, sets in {"test": data.test, "submission": data.submission}.items():
            yield from ((f"{owner}{split}/{name}", samples) for name, samples in sets.items())


def _listed(use: str, samples: FlowDataset) -> Listing:
    if not isinstance(samples, PairFiles):
        return Listing(type(samples).__name__, (use,), samples, used=len(samples), found=len(samples))
    listing = Listing(samples.title, (use,), samples, root=str(samples.root))
    try:
        return replace(
            listing,
            pairs=samples.pairs,
            used=len(samples),
            found=len(samples.all_pairs),
            published=samples.published_count(),
            tree=samples.tree_found,
            left_out=samples.left_out,
        )
    except (FlowBenchError, OSError) as error:
        return replace(listing, error=str(error))
