"""What a run leaves behind beside its weights: enough to know, later, what it was."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flowbench.configs import resolved
from flowbench.engine.resumed_settings import read_settings, words_of_run
from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside

_PACKAGES = ("optical-flowbench", "torch", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy")
CONFIG = "config.yaml"
LAST = Path("checkpoints") / "last.ckpt"
BEST = Path("checkpoints") / "best.ckpt"


def record(folder: Path, config: DictConfig, counts: dict[str, int], trees: dict[str, str]) -> None:
    """Writes config.yaml (no secrets) and provenance.json: versions, git state, command line, pairs, trees of data sets."""
    with written_aside(folder / CONFIG) as aside:
        aside.write_text(OmegaConf.to_yaml(OmegaConf.create(resolved(config))))
    provenance = {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "git": _git_state(),
        "pairs": counts,
        "trees": trees,
    }
    with written_aside(folder / "provenance.json") as aside:
        aside.write_text(json.dumps(provenance, indent=2) + "\n")


def refuse_used(folder: Path) -> None:
    """A folder holds one run: another would mix its figures and weights with those of the first."""
    if (folder / CONFIG).exists():
        raise FlowBenchError(
            f"'{folder}' already holds a run: continue that run with resume={folder}, or choose another hydra.run.dir."
        )


def resumed_config(folder: str | Path, overrides: list[str], own: DictConfig) -> DictConfig:
    """The config of an earlier run; nothing of it may change, or the run would not be the same.

    overrides: the command line's words, among which the run's own may be repeated. own: what this command composed.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file() or not (folder / LAST).is_file():
        raise FlowBenchError(
            f"'{folder}' cannot be resumed: a run's folder with {CONFIG} and {LAST} was expected. A run writes its first "
            "checkpoint after callbacks.last.every_n_train_steps steps."
        )
    repeated = words_of_run(folder)
    changes = [word for word in overrides if not word.startswith(("resume=", "debug=")) and word not in repeated]
    if changes:
        raise FlowBenchError(
            f"A resumed run keeps its own settings, but {' '.join(changes)} was given too: leave it out, or start a new "
            "run from the weights with init=<checkpoint>."
        )
    return read_settings(folder / CONFIG, own)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git_state() -> dict[str, Any] | None:
    root = Path(__file__).resolve().parent
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no").splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "changed_files": [line[3:] for line in changed]}


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()
