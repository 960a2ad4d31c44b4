"""The folders of runs that were refused before they began."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

_HYDRAS = ("config.yaml", "hydra.yaml", "overrides.yaml")
_HYDRAS_FOLDER = ".hydra"


def given_folder_exists(words: Sequence[str]) -> bool:
    """Whether a command line names a run folder that is there already, or may be: its name may hold references.

    The folder that conf/ names is new for every run.
    """
    given = [word for word in words if word.startswith("hydra.run.dir=")]
    if not given:
        return False
    folder = str(OverridesParser.create().parse_override(given[-1]).value())
    return "${" in folder or Path(folder).exists()


def remove_untouched(folder: Path) -> None:
    """Removes the folder of a run that holds only what Hydra writes before any run: its own settings, and a log."""
    own = folder / _HYDRAS_FOLDER
    entries = list(folder.iterdir())
    written = list(own.iterdir()) if own.is_dir() else []
    logs = [entry for entry in entries if entry.suffix == ".log"]
    if not {*entries} <= {own, *logs} or any(file.name not in _HYDRAS for file in written):
        return
    for file in (*written, *logs):
        file.unlink()
    if own.is_dir():
        own.rmdir()
    folder.rmdir()
