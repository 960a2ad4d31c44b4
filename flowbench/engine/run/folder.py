"""The record of a run beside its weights: settings, provenance, environment."""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowbench.checkpoints.read import read_checkpoint
from flowbench.configs import resolved
from flowbench.engine.run import Run
from flowbench.engine.run.cpu_memory import can_keep_freed_memory
from flowbench.engine.run.resumed_settings import read_settings, words_of_run
from flowbench.engine.run.status import STATUS, read_status
from flowbench.errors import FlowBenchError
from flowbench.io.atomic import remove_leftovers, written_aside

log = logging.getLogger(__name__)

_PACKAGES = ("optical-flowbench", "torch", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy")
CONFIG = "config.yaml"
LAST = Path("checkpoints") / "last.ckpt"
PREVIOUS = Path("checkpoints") / "previous.ckpt"
BEST = Path("checkpoints") / "best.ckpt"
# What a run may have written before its first step, beside its log.
_OF_A_START = (CONFIG, "provenance.json", STATUS, "metrics.csv", "tensorboard")


def record(run: Run, config: DictConfig, counts: dict[str, int], trees: dict[str, str], *, processes: int = 1) -> None:
    """Writes config.yaml (no secrets) and provenance.json: versions, git state, command line, processes, pairs, trees of
    data sets."""
    folder = run.folder
    with written_aside(folder / CONFIG) as aside:
        aside.write_text(OmegaConf.to_yaml(OmegaConf.create(resolved(config))))
    provenance = {
        "command": list(run.command),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "git": _git_state(),
        "processes": processes,
        "keep_freed_memory": config.keep_freed_memory and can_keep_freed_memory(),
        "pairs": counts,
        "trees": trees,
    }
    with written_aside(folder / "provenance.json") as aside:
        aside.write_text(json.dumps(provenance, indent=2) + "\n")


def withdraw(folder: Path, before: set[Path]) -> None:
    """Takes back what a run has written that was refused before its first step; all of it stays where there is more.

    before: what lay in the folder before the run, and is not touched.
    """
    made = {path for path in folder.iterdir() if path.name != "train.log"} - before
    if all(path.name in _OF_A_START for path in made):
        for path in made:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def prepare(folder: Path) -> None:
    """Makes a folder ready for a new run. A folder holds one run: another would mix its metrics and weights with those of
    the first. A run that ended before its first checkpoint has left nothing to go on from, so it may start again."""
    if any((folder / name).exists() for name in (LAST, PREVIOUS)):
        raise FlowBenchError(
            f"'{folder}' already holds a run: continue that run with resume={folder}, or choose another hydra.run.dir."
        )
    ended_early = read_status(folder).get("state") not in (None, "finished")
    if (folder / BEST).exists() and not ended_early:
        raise FlowBenchError(f"'{folder}' already holds a run, with {BEST}: choose another hydra.run.dir.")
    if (folder / CONFIG).exists():
        log.info("The run in '%s' ended before its first checkpoint: it starts again.", folder)
        _remove_traces(folder)
    tidy(folder)


def _remove_traces(folder: Path) -> None:
    """What a run that starts again would not write over at once."""
    for name in (BEST, CONFIG, STATUS, "metrics.csv", "skipped.txt"):
        (folder / name).unlink(missing_ok=True)
    for pattern in ("pictures/step_*.png", "tensorboard/events.out.tfevents.*"):
        for path in folder.glob(pattern):
            path.unlink()


def tidy(folder: Path) -> None:
    """Removes the temporary files that a killed run left."""
    for each in (folder, folder / LAST.parent, folder / "pictures"):
        remove_leftovers(each)


def resumed_config(folder: str | Path, overrides: Sequence[str], own: DictConfig) -> DictConfig:
    """The config of an earlier run; nothing of it may change, or the run would not be the same.

    Here it matters what was typed: `own` has a value for each setting, of which nobody can say whether it was asked for.

    Args:
        folder: The run's.
        overrides: The command line's words, among which the run's own may be repeated.
        own: What this command composed.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise FlowBenchError(
            f"'{folder}' cannot be resumed: a run's folder with {CONFIG} and {LAST} was expected. A run writes its first "
            "checkpoint after callbacks.last.every_n_train_steps steps."
        )
    if not any((folder / name).is_file() for name in (LAST, PREVIOUS)):
        raise FlowBenchError(
            f"'{folder}' cannot be resumed: its run ended before its first checkpoint, {LAST}. Start it again with the "
            f"command that started it, and hydra.run.dir={folder}."
        )
    repeated = words_of_run(folder)
    changes = [
        word for word in overrides if not word.startswith(("resume=", "debug=", "plugins=")) and word not in repeated
    ]
    if changes:
        raise FlowBenchError(
            f"A resumed run keeps its own settings, but {' '.join(changes)} was given too: leave it out, or start a new "
            "run from the weights with init=<checkpoint>."
        )
    return _read_config(folder / CONFIG, own)


def _read_config(path: Path, own: DictConfig) -> DictConfig:
    try:
        config = read_settings(path, own)
    except (yaml.YAMLError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise _damaged(path) from error
    if not isinstance(config, DictConfig) or not {"model", "data", "schedule", "trainer", "seed"} <= config.keys():
        raise _damaged(path)
    return config


def _damaged(path: Path) -> FlowBenchError:
    return FlowBenchError(
        f"{path} is damaged, or not a run's: put back a copy of it, or start a new run from the weights with "
        f"init={path.parent / LAST}."
    )


def newest_checkpoint(folder: Path) -> dict[str, Any]:
    """The content of last.ckpt, or where it is missing or damaged, of the one before, which then becomes last.ckpt."""
    try:
        return read_checkpoint(folder / LAST)
    except FlowBenchError as refusal:
        if not (folder / PREVIOUS).is_file():
            raise
        checkpoint = read_checkpoint(folder / PREVIOUS)
        log.warning("%s The one before, %s, takes its place.", refusal, PREVIOUS)
        os.replace(folder / PREVIOUS, folder / LAST)
        return checkpoint


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git_state() -> dict[str, Any] | None:
    root = Path(__file__).resolve().parent
    try:
        commit = _git(root, "rev-parse", "HEAD").strip()
        # Both names of a renamed file; names end in NUL, since they may hold anything else.
        changed = _git(root, "-c", "diff.relative=false", "diff", "HEAD", "--name-only", "-z", "--no-renames")
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "changed_files": changed.split("\0")[:-1]}


def _git(root: Path, *words: str) -> str:
    return os.fsdecode(subprocess.run(["git", *words], cwd=root, check=True, capture_output=True).stdout)
