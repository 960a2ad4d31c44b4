"""Files of a check of data sets, and its lines on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from flowbench.engine.checks.inventory import pass_length
from flowbench.engine.checks.pairs import Problem
from flowbench.engine.checks.summary import Diagnosis, SetDiagnosis
from flowbench.io.records import write_csv, write_json
from flowbench.report.table import columns_table, print_table, rows_table

RESULTS, PROBLEMS = "doctor.json", "problems.csv"

_MOST_PROBLEMS_SHOWN = 50
_MOST_SIZES_SHOWN = 4
_PERCENTAGES = ("valid (mean)", "valid (least)", "occluded", "after warping (median)")
_LENGTHS = ("mean |flow|", "longest flow")


def write_diagnosis(folder: Path, diagnosis: Diagnosis) -> None:
    """Writes doctor.json with everything, and problems.csv, one line a problem, where there are any."""
    problems = list(_problem_rows(diagnosis))
    mixes = {name: {"parts": list(mix), "pairs a pass": pass_length(mix)} for name, mix in diagnosis.mixes.items()}
    sets = [each.row for each in diagnosis.sets]
    write_json(folder / RESULTS, {"sets": sets, "mixes": mixes, "problems": problems})
    if problems:
        write_csv(folder / PROBLEMS, problems)


def print_diagnosis(folder: Path, diagnosis: Diagnosis) -> None:
    """A table a data set, the training mix where it is one, the first problems, and where the files are."""
    tables, lines = Console(), Console(highlight=False, markup=False, soft_wrap=True)
    for each in diagnosis.sets:
        if each.listing.error is None:
            print_table(columns_table([_shown(each)], each.listing.title), tables)
        else:
            lines.print(f"{each.listing.title}, used as {', '.join(each.listing.uses)}:\n{each.listing.error}")
        lines.print()
    for name, mix in diagnosis.mixes.items():
        if len(mix) > 1:
            total = pass_length(mix)
            title = (
                f"A training pass over {name}: {'unknown, parts are missing' if total is None else f'{total} pairs'}"
            )
            print_table(rows_table(mix, title), tables)
            lines.print()
    # Those of whole data sets stand where their tables would.
    for line in _problem_lines([each for each in diagnosis.problems if each not in _lost(diagnosis)]):
        lines.print(line)
    lines.print(f"metrics: {folder / RESULTS}")
    if diagnosis.problems:
        lines.print(f"problems: {folder / PROBLEMS}")


def _problem_rows(diagnosis: Diagnosis) -> Iterator[dict[str, Any]]:
    for problem, sets in diagnosis.problems.items():
        yield {"level": problem.level, "file": problem.file, "problem": problem.what, "set": ", ".join(sets)}


def _lost(diagnosis: Diagnosis) -> set[Problem]:
    return {problem for each in diagnosis.sets if each.listing.error is not None for problem in each.problems}


def _problem_lines(problems: list[Problem]) -> Iterator[str]:
    """The errors first: warnings must not push them out of sight."""
    ordered = sorted(problems, key=lambda problem: problem.level != "error")
    for problem in ordered[:_MOST_PROBLEMS_SHOWN]:
        yield f"{problem.level}: {problem.file}: {problem.what}"
    if len(ordered) > _MOST_PROBLEMS_SHOWN:
        yield f"... and {len(ordered) - _MOST_PROBLEMS_SHOWN} more problems"


def _shown(each: SetDiagnosis) -> dict[str, str]:
    """The row with units, without what is not known."""
    known = {name: value for name, value in each.row.items() if value not in (None, {})}
    counted = f"{each.listing.found} of {known.pop('published')}" if "published" in known else str(each.listing.found)
    completeness = known.pop("completeness", "no published number")
    known |= {"used as": ", ".join(each.listing.uses)}
    if each.listing.root is not None:
        known["found"] = f"{counted}: {completeness}"
    else:
        # Drawn, not found.
        del known["found"]
    if "sizes" in known:
        known["sizes"] = _sizes(known["sizes"])
    percentages = {name: f"{100 * known[name]:.2f} %" for name in _PERCENTAGES if name in known}
    lengths = {name: f"{known[name]:.2f} px" for name in _LENGTHS if name in known}
    shown = known | percentages | lengths
    del shown["data set"]
    return {name: str(value) for name, value in shown.items()}


def _sizes(counts: Mapping[str, int]) -> str:
    most = [f"{size}: {count}" for size, count in list(counts.items())[:_MOST_SIZES_SHOWN]]
    others = len(counts) - len(most)
    return ", ".join(most) + (f" and {others} more sizes" if others else "")
