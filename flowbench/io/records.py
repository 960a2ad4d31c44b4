"""Numbers in files that other programs read: JSON and CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flowbench.io.atomic import written_aside

# What stands in one row of a table, by column.
Row = dict[str, Any]


def write_json(path: str | Path, content: Any) -> None:
    """Writes mappings, sequences, numbers (also numpy's) and text; what is not finite becomes null, as JSON has no NaN.

    Raises FlowBenchError, naming the file, when it cannot be written.
    """
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    with written_aside(path) as aside:
        aside.write_text(text + "\n", encoding="utf-8")


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes one line per row; the columns are all keys in the order in which they first appear.

    A value that is missing, None or not finite leaves its field empty. Raises FlowBenchError, naming the file, when it
    cannot be written.
    """
    with written_aside(path) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns_of(rows), lineterminator="\n")
        writer.writeheader()
        writer.writerows(_plain(row) for row in rows)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """All keys of the rows, each once, in the order in which they first appear."""
    return list(dict.fromkeys(key for row in rows for key in row))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
