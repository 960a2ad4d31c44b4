"""metrics.csv: one row per logged step, kept complete when a run resumes."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside

_SECONDS_BETWEEN_SAVES = 5.0


class CSVMetrics(Logger):
    """Writes every scalar to `path`. Unlike Lightning's, it goes on after the rows of the run that it resumes.

    Values that were logged for one step share a row; a column that appears late is added to the earlier rows, empty.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        self._rows: dict[int, dict[str, Any]] = {}
        self._unsaved = False
        self._saved_at = 0.0

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run's config is in config.yaml."""

    def resume(self, last_step: int) -> None:
        """Reads the rows back that were written up to and with last_step."""
        if not self.path.is_file():
            return
        try:
            with open(self.path, newline="") as file:
                table = list(csv.DictReader(file, strict=True))
            steps = [int(row["step"]) for row in table]
        except (csv.Error, UnicodeDecodeError, KeyError, ValueError, TypeError) as error:
            raise FlowBenchError(
                f"{self.path} is damaged ({error}): mend it, or move it away to go on without the rows so far."
            ) from error
        for step, row in zip(steps, table, strict=True):
            if step <= last_step:
                self._rows[step] = {name: value for name, value in row.items() if value and name != "step"}

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row = self._rows.setdefault(0 if step is None else step, {})
        row.update({name: value for name, value in metrics.items() if name != "epoch"})
        self._unsaved = True

    def save(self) -> None:
        """Called by Lightning after every row; writing the whole file each time would not be worth it."""
        if time.monotonic() - self._saved_at > _SECONDS_BETWEEN_SAVES:
            self.write()

    def finalize(self, status: str) -> None:
        self.write()

    @rank_zero_only
    def write(self) -> None:
        """Brings the file up to date."""
        if not self._unsaved:
            return
        columns = sorted({name for row in self._rows.values() for name in row})
        with written_aside(self.path) as aside, open(aside, "w", newline="") as file:
            writer = csv.DictWriter(file, ["step", *columns])
            writer.writeheader()
            writer.writerows({"step": step, **row} for step, row in sorted(self._rows.items()))
        self._unsaved = False
        self._saved_at = time.monotonic()
