"""Check that data sets are present, complete and sane, before days are spent on training on them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from flowbench.engine.checks.files import PROBLEMS, print_diagnosis, write_diagnosis
from flowbench.engine.checks.inventory import Listing, listings, mixes
from flowbench.engine.checks.pairs import PairCheck, check_generated, check_pair
from flowbench.engine.checks.summary import Diagnosis, SetDiagnosis
from flowbench.engine.checks.workers import all_results
from flowbench.engine.config.groups import data_modules
from flowbench.engine.config.kinds import Count, FromZero
from flowbench.engine.run import Run
from flowbench.engine.run.settings import Settings
from flowbench.errors import FlowBenchError

# Scenes that are drawn: enough to see that they are.
_GENERATED = 20
# Pairs of each data set whose images are compared after warping, which takes longer than reading them.
_WARPED = 100


@dataclass(frozen=True, kw_only=True)
class DoctorSettings(Settings):
    """What `doctor` takes; conf/doctor.yaml has the same names and defaults."""

    data: DictConfig | tuple[DictConfig, ...] | None = None
    """One data set or several; it has to be given."""
    at_most: Count | None = None
    """Pairs of each data set that are opened, evenly spaced; if None, all, and 20 built-in scenes."""
    workers: FromZero = 2
    """Processes that read."""


def doctor(settings: DoctorSettings, run: Run) -> Diagnosis:
    """Checks every data set of data=<name> or data=[<name>,<name>], whatever split uses it, each file once.

    Says how many pairs were found, published and readable, how large they are and what their flow is like, and names
    every file with a problem. Raises FlowBenchError at the end where a data set is missing or a file is bad; that there
    are fewer or more pairs than published is no error.
    """
    modules = data_modules(settings.data)
    found = listings(modules)
    results = all_results(_calls(found, settings.at_most), settings.workers)
    checked = [SetDiagnosis(each, [results[name] for name in _names(each, settings.at_most)]) for each in found]
    diagnosis = Diagnosis(checked, mixes(modules))
    write_diagnosis(run.folder, diagnosis)
    print_diagnosis(run.folder, diagnosis)
    _refuse_bad(diagnosis, run.folder)
    return diagnosis


def _calls(found: Sequence[Listing], at_most: int | None) -> dict[Hashable, Callable[[], PairCheck]]:
    """The check of each pair by the pair's name, once for all sets that share it."""
    files = [each for each in found if each.pairs]
    opened = {each.pairs[place] for each in files for place in each.places(at_most or each.used)}
    warped = {each.pairs[place] for each in files for place in each.places(min(at_most or _WARPED, _WARPED))}
    calls: dict[Hashable, Callable[[], PairCheck]] = {
        paths: partial(check_pair, paths, opened=paths in opened, warped=paths in warped)
        for each in files
        for paths in each.pairs
    }
    for each in found:
        if not each.pairs:
            for place in each.places(at_most or _GENERATED):
                calls[id(each.samples), place] = partial(check_generated, each.samples, place)
    return calls


def _names(listing: Listing, at_most: int | None) -> Sequence[Hashable]:
    if listing.pairs:
        return listing.pairs
    return [(id(listing.samples), place) for place in listing.places(at_most or _GENERATED)]


def _refuse_bad(diagnosis: Diagnosis, folder: Path) -> None:
    found = []
    if diagnosis.lost:
        found.append(f"{diagnosis.lost} of {len(diagnosis.sets)} data sets cannot be listed")
    if diagnosis.bad_files:
        found.append(f"{diagnosis.bad_files} {'file is' if diagnosis.bad_files == 1 else 'files are'} bad")
    if diagnosis.untrue:
        found.append(f"the flow of {diagnosis.untrue} of {len(diagnosis.sets)} data sets does not belong to the images")
    if found:
        raise FlowBenchError(f"{' and '.join(found)}: {folder / PROBLEMS} names each.")
