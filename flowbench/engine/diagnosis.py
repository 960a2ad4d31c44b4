"""What a check of data sets found, summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flowbench.engine.listings import Listing
from flowbench.engine.pair_checks import PairCheck, PairFigures, Problem


@dataclass(frozen=True)
class SetDiagnosis:
    """Of one listing and the checks of its pairs, in their order."""

    listing: Listing
    checks: Sequence[PairCheck]

    @cached_property
    def problems(self) -> list[Problem]:
        """Each once, however many pairs share the file."""
        if self.listing.error is not None:
            return [Problem("error", self.listing.root or self.listing.title, self.listing.error)]
        of_set = [Problem("warning", self.listing.root, each) for each in self.listing.left_out]
        return of_set + list(dict.fromkeys(problem for check in self.checks for problem in check.problems))

    @cached_property
    def row(self) -> dict[str, Any]:
        """All there is to say, for a file. Shares are of 1; what is not known is None."""
        listing, figures = self.listing, [check.figures for check in self.checks if check.figures is not None]
        levels = Counter(problem.level for problem in self.problems)
        return {
            "data set": listing.title,
            "used as": list(listing.uses),
            "root": listing.root,
            "tree": listing.tree,
            "pairs": listing.used,
            "found": listing.found,
            "published": listing.published,
            "completeness": listing.completeness,
            "readable": len(figures),
            "sizes": _sizes(figures),
            **_flow_figures([each for each in figures if each.valid is not None]),
            "errors": levels["error"],
            "warnings": levels["warning"],
        }


@dataclass(frozen=True)
class Diagnosis:
    """Of all data sets. mixes: the rows of each training mix, by its data's name."""

    sets: Sequence[SetDiagnosis]
    mixes: Mapping[str, Sequence[Mapping[str, Any]]]

    @cached_property
    def problems(self) -> dict[Problem, list[str]]:
        """Each with the first use of every set that it concerns."""
        concerned: dict[Problem, list[str]] = {}
        for each in self.sets:
            for problem in each.problems:
                concerned.setdefault(problem, []).append(each.listing.uses[0])
        return concerned

    @property
    def lost(self) -> int:
        """Data sets that could not be listed."""
        return sum(each.listing.error is not None for each in self.sets)

    @property
    def bad_files(self) -> int:
        """Files with an error, each once."""
        listed = (problem for each in self.sets if each.listing.error is None for problem in each.problems)
        return len({problem.file for problem in listed if problem.level == "error"})


def _sizes(figures: Sequence[PairFigures]) -> dict[str, int]:
    """Pairs of each size, as "width x height", the most frequent first."""
    counts = Counter(figure.size for figure in figures)
    return {f"{width}x{height}": count for (height, width), count in counts.most_common()}


def _flow_figures(figures: Sequence[PairFigures]) -> dict[str, float | None]:
    """Lengths in pixels; the mean length and the occluded share are over all known pixels together."""
    shares = [figure.valid / (figure.size[0] * figure.size[1]) for figure in figures]
    said = [figure for figure in figures if figure.occluded is not None]
    return {
        "valid (mean)": _ratio(sum(shares), len(shares)),
        "valid (least)": min(shares, default=None),
        "mean |flow|": _ratio(sum(figure.total for figure in figures), sum(figure.valid for figure in figures)),
        "longest flow": max((figure.longest for figure in figures), default=None),
        "occluded": _ratio(sum(figure.occluded for figure in said), sum(figure.valid for figure in said)),
    }


def _ratio(total: float, count: int) -> float | None:
    return total / count if count else None
