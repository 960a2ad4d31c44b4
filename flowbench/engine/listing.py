"""Lists of what there is: models, data sets and weights by name."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from omegaconf import DictConfig
from rich.console import Console

from flowbench.configs import config_folder, plain
from flowbench.engine.config.groups import model_config
from flowbench.engine.config.models import build_model
from flowbench.engine.run import Run
from flowbench.engine.run.settings import Settings
from flowbench.io.records import Row
from flowbench.pretrained import Weights, all_weights, direct_link, file_of
from flowbench.report.table import print_table, rows_table

_MEGABYTE = 1_000_000
# Tables of a file or a pipe are not folded to a terminal's width.
_WIDE = 240


@dataclass(frozen=True, kw_only=True)
class ListSettings(Settings):
    """What `listing` takes; conf/list.yaml has the same names and defaults."""

    what: Literal["all", "models", "data", "weights"] = "all"
    """What is listed."""
    format: Literal["table", "json"] = "table"
    """json: for other programs, with all that is known of each entry."""
    paths: DictConfig | None = None
    """Where the data sets lie."""


def listing(settings: ListSettings, run: Run) -> dict[str, list[Row]]:
    """Prints models, data sets and weights by name, without a network; the rows of each."""
    makers: dict[str, Callable[[], list[Row]]] = {
        "models": model_rows,
        "data": partial(data_rows, plain(settings.paths) or {}),
        "weights": weights_rows,
    }
    found = {name: rows() for name, rows in makers.items() if settings.what in ("all", name)}
    if settings.format == "json":
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(found)
    _leave_nothing(run)
    return found


def model_rows() -> list[Row]:
    """Each model of conf/model, with the parameters of its network."""
    return [
        {"model": file.stem, "parameters": _parameters(file.stem), "source": _about(file)}
        for file in _files_of("model")
    ]


def data_rows(paths: Mapping[str, Any]) -> list[Row]:
    """Each data set of conf/data, with the folder that it is expected in, where it has one."""
    rows = []
    for file in _files_of("data"):
        folder = paths.get(file.stem)
        there = None if folder is None else Path(str(folder)).is_dir()
        rows.append({"data": file.stem, "folder": folder, "there": there, "about": _about(file)})
    return rows


def weights_rows() -> list[Row]:
    """Each entry of the table of weights, and whether its file is on this machine."""
    return [_weights_row(entry) for entry in all_weights()]


def _weights_row(entry: Weights) -> Row:
    path = file_of(entry)
    return {
        "weights": entry.names[1] if len(entry.names) > 1 else entry.name,
        "names": list(entry.names),
        "model": entry.model,
        "file": _state(entry, path),
        "MB": round(path.stat().st_size / _MEGABYTE, 2) if path.is_file() else entry.megabytes,
        "source": entry.source,
        "licence": entry.licence,
        "trained on": entry.trained_on,
        "path": str(path),
        "link": direct_link(entry) or entry.page,
        "sha256": entry.sha256 or None,
        "figures": dict(entry.figures),
    }


def _state(entry: Weights, path: Path) -> str:
    if entry.shipped:
        return "shipped"
    if path.is_file():
        return "cached"
    if direct_link(entry) is None:
        return "by hand"
    return "download, untried" if entry.untried else "download"


def _files_of(group: str) -> list[Path]:
    return sorted((config_folder() / group).glob("*.yaml"))


def _parameters(model: str) -> int:
    with torch.device("meta"):
        network = build_model(model_config(model)).network
    return sum(parameter.numel() for parameter in network.parameters())


def _about(file: Path) -> str:
    """The first sentence of the comment that a file of conf/ begins with."""
    line = file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    return line.partition(": ")[0] if file.parent.name == "model" else line.partition(". ")[0].rstrip(".")


# The columns of a terminal; json has all.
_COLUMNS = {"weights": ("weights", "file", "MB", "source", "licence", "trained on")}


def _print(found: Mapping[str, list[Row]]) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    for name, rows in found.items():
        columns = _COLUMNS.get(name)
        print_table(rows_table([{key: _shown(row[key]) for key in columns or row} for row in rows]), console)


def _shown(value: Any) -> Any:
    """A count with its separators, yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else value


def _leave_nothing(run: Run) -> None:
    """Removes the run's folder, which nothing was written to, and those above it that were made for it alone."""
    with suppress(OSError):
        os.removedirs(os.path.relpath(run.folder))
