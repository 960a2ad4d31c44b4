"""The folders of runs that are refused before they begin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from flowbench.engine.run.rank import is_first_process
from flowbench.errors import FlowBenchError

_HYDRAS = ("config.yaml", "hydra.yaml", "overrides.yaml")
_HYDRAS_FOLDER = ".hydra"


@contextmanager
def without_empty_folder(folder: Path, *, kept: bool) -> Iterator[None]:
    """Behind the block, the run's folder is gone where the block failed before anything was written there.

    kept: whether it stays in any case, for it was there before the run, or may have been.
    """
    try:
        yield
    except (Exception, SystemExit):
        if not kept and is_first_process():
            _remove_untouched(folder)
        raise


def refuse_links(words: Sequence[str]) -> None:
    """Raises FlowBenchError where the run folder that the words name holds a link which the run would write through.

    A log is written on where its file is, and somebody else's folder may have made that a file of the user's. Folders of a
    new run may be links, for checkpoints are large; a folder that is resumed may be somebody else's, and holds none, but for
    those that W&B itself makes and puts others in place of.
    """
    folder = _given_folder(words)
    if folder is None or not Path(folder).is_dir():
        return
    resumed = any(word.startswith("resume=") for word in words)
    for path in sorted(Path(folder).rglob("*") if resumed else Path(folder).iterdir()):
        by_wandb = "wandb" in path.relative_to(folder).parts[:-1]
        if path.is_symlink() and not by_wandb and (resumed or not path.is_dir()):
            raise FlowBenchError(
                f"'{path}' is a link to '{path.readlink()}', which the run would write to: put a copy of it in its place."
            )


def given_folder_exists(words: Sequence[str]) -> bool:
    """Whether the words name a run folder that is there already, or may be: its name may hold references.

    The folder that conf/ names is new for every run.
    """
    folder = _given_folder(words)
    return folder is not None and ("${" in folder or Path(folder).exists())


def _given_folder(words: Sequence[str]) -> str | None:
    """The run folder that the words name; None where they leave it to conf/."""
    given = [word for word in words if word.startswith("hydra.run.dir=")]
    return str(OverridesParser.create().parse_override(given[-1]).value()) if given else None


def _remove_untouched(folder: Path) -> None:
    """Removes a folder that holds only what Hydra writes before any run: its own settings, and a log."""
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
