"""Metrics as tables in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flowbench.io.records import columns_of
from flowbench.report.metric_names import formatted, heading


def metrics_table(metrics: Mapping[str, float], title: str = "") -> Table:
    """One line per metric: its name with unit and arrow (↓: lower is better), and its value."""
    table = Table(title=Text(title), title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        table.add_row(Text(heading(name)), Text(formatted(name, value)))
    return table


def rows_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """One line per row, for instance a sequence or a model; one column per key, numbers to the right."""
    table = Table(title=Text(title), title_justify="left")
    columns = columns_of(rows)
    for name in columns:
        numeric = any(isinstance(row.get(name), Real) for row in rows)
        table.add_column(Text(heading(name)), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(Text(formatted(name, row.get(name))) for name in columns))
    return table


def columns_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """One column per row and one line per key, for few rows of many numbers."""
    table = Table(title=Text(title), title_justify="left", show_header=False)
    table.add_column(overflow="fold")
    for _ in rows:
        table.add_column(justify="right", overflow="fold")
    for name in columns_of(rows):
        table.add_row(Text(heading(name)), *(Text(formatted(name, row.get(name))) for row in rows))
    return table


def print_table(table: Table, console: Console | None = None) -> None:
    """Prints to the given console, by default the terminal."""
    (console or Console()).print(table)
