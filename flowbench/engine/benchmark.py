"""Benchmarks of a model, of the correlation lookup, of the data and of the delta rule on this machine."""

from __future__ import annotations

import torch
from rich.console import Console

from flowbench.engine.benchmarks.correlation import local_rows, lookup_rows
from flowbench.engine.benchmarks.data import data_rows
from flowbench.engine.benchmarks.delta import delta_rows
from flowbench.engine.benchmarks.network import model_rows, train_rows
from flowbench.engine.benchmarks.settings import BenchmarkSettings
from flowbench.engine.run import Run
from flowbench.engine.run.devices import chosen_device
from flowbench.io.records import Row, write_csv, write_json
from flowbench.report.table import columns_table, print_table

_ROWS = {
    "model": model_rows,
    "train": train_rows,
    "lookup": lookup_rows,
    "local": local_rows,
    "data": data_rows,
    "delta": delta_rows,
}


def benchmark(settings: BenchmarkSettings, run: Run) -> list[Row]:
    """Measures settings.subject and writes benchmark.csv and benchmark.json into the run's folder."""
    torch.manual_seed(0)
    rows = _ROWS[settings.subject](settings)
    write_csv(run.folder / "benchmark.csv", rows)
    write_json(run.folder / "benchmark.json", rows)
    console = Console()
    print_table(columns_table(rows, f"{settings.subject}, {_machine(settings)}"), console)
    console.print(f"metrics: {run.folder / 'benchmark.csv'}", highlight=False, soft_wrap=True)
    return rows


def _machine(settings: BenchmarkSettings) -> str:
    device = chosen_device(settings.device)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
