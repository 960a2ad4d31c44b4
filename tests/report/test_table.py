"""Tables in the terminal show units, arrows and rounded numbers."""

import io

import numpy as np
from rich.console import Console

from flowbench.report.table import metrics_table, print_table, rows_table


def printed(table):
    text = io.StringIO()
    print_table(table, Console(file=text, width=120))
    return text.getvalue()


def test_metrics_have_units_and_arrows():
    text = printed(metrics_table({"val/epe": 1.23456, "fl_all": np.float32(4.5), "fps": 31.0}, title="sintel [clean]"))
    assert "val/epe (px) ↓" in text
    assert "1.235" in text
    assert "fl_all (%) ↓" in text
    assert "4.50" in text
    assert "fps (" not in text
    assert "sintel [clean]" in text


def test_rows_with_missing_values_show_a_dash():
    text = printed(
        rows_table([{"sequence": "[b]alley", "epe": 1.0, "n": 3}, {"sequence": "cave", "epe": float("nan")}])
    )
    lines = [line.replace("│", " ").split() for line in text.splitlines()]
    assert ["[b]alley", "1.000", "3"] in lines
    assert ["cave", "-", "-"] in lines
