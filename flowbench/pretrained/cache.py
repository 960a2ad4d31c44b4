"""The files of named weights on this machine: shipped, or in the cache folder."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import platformdirs

from flowbench.errors import FlowBenchError
from flowbench.pretrained.download import fetch, sha256_of
from flowbench.pretrained.entries import Weights
from flowbench.pretrained.table import weights_folder

log = logging.getLogger(__name__)

FOLDER = "FLOWBENCH_CACHE"
MIRROR = "FLOWBENCH_WEIGHTS_MIRROR"


def cache_folder() -> Path:
    """Where downloaded weights are kept: weights/ below $FLOWBENCH_CACHE, or else below the user's cache of the platform."""
    chosen = os.environ.get(FOLDER)
    root = Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("flowbench", appauthor=False)
    return root / "weights"


def file_of(entry: Weights) -> Path:
    """Where the file of this entry lies, or would lie."""
    return (weights_folder() if entry.shipped else cache_folder()) / entry.file


def direct_link(entry: Weights) -> str | None:
    """Where the file is downloaded from; with $FLOWBENCH_WEIGHTS_MIRROR, any file, from there."""
    mirror = os.environ.get(MIRROR)
    return f"{mirror.rstrip('/')}/{entry.file}" if mirror else entry.url


def local_file(entry: Weights) -> Path:
    """The file, downloaded where it is not there yet, and checked as far as its sha256 is known.

    Raises FlowBenchError, with the link and the folder, where it cannot be had, and for one with another sha256.
    """
    path = file_of(entry)
    if not path.is_file():
        _get(entry, path)
    if not sha256_of(path).startswith(entry.sha256):
        raise FlowBenchError(
            f"'{path}' is not the file of {entry.name}: its sha256 begins with {sha256_of(path)[:8]}, not with "
            f"{entry.sha256[:8]}. {_remedy(entry)}"
        )
    if not entry.sha256:
        log.warning("The sha256 of %s is not known, so '%s' was not checked.", entry.file, path)
    return path


def _get(entry: Weights, path: Path) -> None:
    link = direct_link(entry)
    if entry.shipped:
        raise FlowBenchError(f"'{path}', which is part of FlowBench, is missing: install FlowBench again.")
    if link is None:
        raise FlowBenchError(
            f"The weights {entry.name} have no direct link: get {entry.file} with a browser from {entry.page}, and put it "
            f"into {path.parent}."
        )
    fetch(link, path, sha256=entry.sha256)


def _remedy(entry: Weights) -> str:
    if entry.shipped:
        return "Install FlowBench again; in a checkout, tools/release_weights.py writes file and card together."
    return "Delete it to have it downloaded again."
