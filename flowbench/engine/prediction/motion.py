"""How much moves in each pair, in numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowbench.engine.prediction.settings import PredictSettings
from flowbench.io import Frame, write_csv
from flowbench.io.records import Row


class MotionTable:
    """Numbers of each pair, collected for <path>, a CSV file.

    Attributes:
        path: Of the file.
        rows: frame, the mean, the median and the 95th percentile of the vectors' lengths in pixels, moving, the share of
            pixels that move by the threshold or more (%), and occluded, the share of occluded ones (%), where it is known.
    """

    def __init__(self, path: Path, threshold: float) -> None:
        """threshold: in pixels."""
        self.path = path
        self.threshold = threshold
        self.rows: list[Row] = []

    def __call__(self, frame: Frame, flow: np.ndarray, occluded: np.ndarray | None) -> None:
        length = np.linalg.norm(flow, axis=-1)
        median, high = np.quantile(length, (0.5, 0.95))
        row = {
            "frame": frame.name,
            "mean": float(length.mean(dtype=np.float64)),
            "median": float(median),
            "p95": float(high),
            "moving": 100.0 * float((length >= self.threshold).mean()),
        }
        self.rows.append(row if occluded is None else {**row, "occluded": 100.0 * float(occluded.mean())})

    def write(self) -> None:
        write_csv(self.path, [{name: _short(value) for name, value in row.items()} for row in self.rows])


def motion_table(settings: PredictSettings, folder: Path) -> MotionTable:
    """The table that fills <folder>/motion.csv."""
    return MotionTable(folder / "motion.csv", settings.moving_threshold)


def _short(value: object) -> object:
    # What a thousandth of a pixel or a percent hides is noise.
    return round(value, 3) if isinstance(value, float) else value
