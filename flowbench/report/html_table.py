"""Rows of numbers as HTML tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from numbers import Real
from typing import Any

from flowbench.io.records import columns_of
from flowbench.report.metric_names import formatted, heading


def html_table(rows: Sequence[Mapping[str, Any]], *, name: str) -> str:
    """A table of all keys of the rows; each number keeps its full precision in `data-value`, by which the page sorts.

    name: the id of the table. Everything from the rows is escaped.
    """
    columns = columns_of(rows)
    head = "".join(_heading_cell(column, rows) for column in columns)
    body = "\n".join(f"<tr>{''.join(_cell(column, row.get(column)) for column in columns)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table id="{escape(name)}" class="sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def html_metrics(metrics: Mapping[str, float], *, name: str = "metrics") -> str:
    """The table of metrics: one line each, with unit and arrow. name: the id of the table."""
    lines = "\n".join(
        f'<tr><th scope="row">{escape(heading(name))}</th>{_cell(name, value)}</tr>' for name, value in metrics.items()
    )
    return f'<div class="wide"><table id="{escape(name)}" class="figures"><tbody>\n{lines}\n</tbody></table></div>'


def _heading_cell(column: str, rows: Sequence[Mapping[str, Any]]) -> str:
    kind = ' class="number"' if any(isinstance(row.get(column), Real) for row in rows) else ""
    return f'<th scope="col"{kind}><button type="button">{escape(heading(column))}</button></th>'


def _cell(column: str, value: Any) -> str:
    text = escape(formatted(column, value))
    if isinstance(value, Real):
        return f'<td class="number" data-value="{float(value)!r}">{text}</td>'
    return f"<td>{text}</td>"
