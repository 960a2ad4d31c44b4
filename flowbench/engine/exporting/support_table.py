"""Table of the models that can be exported, and to what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FORMAT_NAMES = ("onnx", "torch_export")


@dataclass(frozen=True)
class Exportable:
    """formats: those of FORMAT_NAMES that work. dynamic: whether batch, height and width may stay open. reason: of a no."""

    formats: tuple[str, ...] = FORMAT_NAMES
    dynamic: bool = True
    reason: str = ""


_UNTIL_CONVERGED = Exportable(
    formats=(), dynamic=False, reason="its solver stops where the values say so, which no fixed graph can hold"
)

# One row a file of conf/model; docs/export.md shows it, and tests/engine/test_export.py tries every row.
EXPORTABLE: Mapping[str, Exportable] = {
    "fastflownet": Exportable(),
    "lightflow": Exportable(),
    "lightflow_075": Exportable(),
    "lightflow_05": Exportable(),
    "raft": Exportable(),
    "raft_h": Exportable(),
    "raft_small": Exportable(),
    **{f"deqflow_{size}": _UNTIL_CONVERGED for size in ("tiny", "b", "l", "h", "g")},
    **{f"deltadeq_{size}": _UNTIL_CONVERGED for size in ("tiny", "b", "h")},
}


def markdown_table(rows: Mapping[str, Exportable] = EXPORTABLE) -> str:
    """The rows as docs/export.md shows them."""
    lines = [_line(["model", *FORMAT_NAMES, "any size", "why not"]), _line(["---"] * (len(FORMAT_NAMES) + 3))]
    for name, row in rows.items():
        formats = [_yes(each in row.formats) for each in FORMAT_NAMES]
        lines.append(_line([f"`{name}`", *formats, _yes(row.dynamic), row.reason]))
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _yes(works: bool) -> str:
    return "yes" if works else "no"
