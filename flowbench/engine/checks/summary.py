"""Summary of a check of data sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from flowbench.engine.checks.inventory import Listing
from flowbench.engine.checks.pairs import PairCheck, PairFigures, Problem

# Right flow leaves 0.1 to 0.7 of the difference between the images, wrong flow 0.8 to 2 (engine/checks/warping.py).
_MOST_AFTER_WARPING = 0.9
# Of the pairs that tell; a few may be of fog, glass or fast light.
_SUSPICIOUS_SHARE, _WRONG_SHARE = 0.2, 0.5
_LEAST_PAIRS = 3


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
        of_set = [Problem("warning", self.listing.root or self.listing.title, each) for each in self.listing.left_out]
        of_set += [self.untruth] if self.untruth is not None else []
        return of_set + list(dict.fromkeys(problem for check in self.checks for problem in check.problems))

    @cached_property
    def untruth(self) -> Problem | None:
        """That the ground truth explains the images no better than no motion, in too many of the pairs that tell."""
        left = [check.figures.after_warping for check in self.checks if check.figures is not None]
        told = [(place, share) for place, share in enumerate(left) if share is not None]
        failed = [place for place, share in told if share > _MOST_AFTER_WARPING]
        if len(failed) <= _SUSPICIOUS_SHARE * len(told):
            return None
        wrong = len(failed) > _WRONG_SHARE * len(told) and len(told) >= _LEAST_PAIRS
        what = (
            f"image 2, warped by the flow, is no more like image 1 than as it is, in {len(failed)} of {len(told)} pairs: "
            "does the flow belong to these images, from the first to the second, with u to the right and v down, in pixels?"
        )
        return Problem("error" if wrong else "warning", self.listing.root or self.listing.title, what)

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
            **_flow_figures(figures),
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
        found = (problem for each in self.sets for check in each.checks for problem in check.problems)
        return len({problem.file for problem in found if problem.level == "error"})

    @property
    def untrue(self) -> int:
        """Data sets whose ground truth does not belong to the images."""
        return sum(each.untruth is not None and each.untruth.level == "error" for each in self.sets)


def _sizes(figures: Sequence[PairFigures]) -> dict[str, int]:
    """Pairs of each size, as "width x height", the most frequent first."""
    counts = Counter(figure.size for figure in figures)
    return {f"{width}x{height}": count for (height, width), count in counts.most_common()}


def _flow_figures(figures: Sequence[PairFigures]) -> dict[str, float | None]:
    """Lengths in pixels; the mean length and the occluded share are over all known pixels together."""
    known = [(figure, figure.valid) for figure in figures if figure.valid is not None]
    shares = [valid / (figure.size[0] * figure.size[1]) for figure, valid in known]
    said = [(figure.occluded, valid) for figure, valid in known if figure.occluded is not None]
    warped = [figure.after_warping for figure, _ in known if figure.after_warping is not None]
    return {
        "valid (mean)": _ratio(sum(shares), len(shares)),
        "valid (least)": min(shares, default=None),
        "mean |flow|": _ratio(sum(figure.total for figure, _ in known), sum(valid for _, valid in known)),
        "longest flow": max((figure.longest for figure, _ in known), default=None),
        "after warping (median)": median(warped) if warped else None,
        "occluded": _ratio(sum(occluded for occluded, _ in said), sum(valid for _, valid in said)),
    }


def _ratio(total: float, count: int) -> float | None:
    return total / count if count else None
