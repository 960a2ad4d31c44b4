"""Pairs checked by several processes, in their order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import DataLoader, Dataset

from flowbench.data.workers import start_worker

Result = TypeVar("Result")

_CALLS_AT_ONCE = 4


def all_results(calls: Mapping[Hashable, Callable[[], Result]], workers: int) -> dict[Hashable, Result]:
    """What each of the calls returns, by its name; they do not depend on which process makes them.

    workers: processes, 0 for this one. Calls and results must be fit to be sent between processes. A bar on the terminal
    shows how many are done.
    """
    if not calls:
        return {}
    loader = DataLoader(
        _Calls(list(calls.values())),
        batch_size=_CALLS_AT_ONCE,
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=start_worker,
    )
    # The processes start here, before the bar's thread does: a process copies the locks that other threads hold.
    batches = iter(loader)
    results: list[Result] = []
    columns = (TextColumn("pairs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("pairs", total=len(calls))
        for batch in batches:
            results += batch
            progress.advance(task, len(batch))
    return dict(zip(calls, results, strict=True))


class _Calls(Dataset[Result]):
    def __init__(self, calls: list[Callable[[], Result]]) -> None:
        self.calls = calls

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, index: int) -> Result:
        return self.calls[index]()
