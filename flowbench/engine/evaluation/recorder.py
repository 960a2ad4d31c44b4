"""Per-sample records of a test."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from flowbench.deq import StopReason
from flowbench.engine.run.gathering import from_all_processes
from flowbench.metrics import FlowMetrics
from flowbench.models.sequences import sequence_of
from flowbench.report.convergence import Trace
from flowbench.structures import FlowBatch

_SOLVER_MEANS = ("steps", "abs_residual", "rel_residual")
_TRACES = ("abs_trace", "rel_trace")


@dataclass(frozen=True)
class _Record:
    """sums: metric -> (sum, pixels). stats: what the network reports. traces: one number per step."""

    key: str
    sums: dict[str, tuple[float, float]]
    stats: dict[str, float | str]
    traces: dict[str, list[float]]

    @property
    def sequence(self) -> str:
        return sequence_of(self.key)


class SampleRecorder(Callback):
    """Keeps the error sums and the network's own statistics of every tested sample, over all processes.

    A test starts anew.
    """

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        self._seen = 0

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._records, self._seen = {}, 0

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: FlowBatch, *_: Any
    ) -> None:
        sums = {name: list(zip(total.tolist(), count.tolist())) for name, (total, count) in outputs["sums"].items()}
        stats = {name: _figures(name, values) for name, values in outputs["stats"].items() if values.ndim == 1}
        traces = {name: values.tolist() for name, values in outputs["stats"].items() if values.ndim == 2}
        for row, key in enumerate(batch.key):
            # The order in which EvaluationSampler shares the samples out.
            index = trainer.global_rank + self._seen * trainer.world_size
            self._records[index] = _Record(
                key,
                sums={name: pairs[row] for name, pairs in sums.items()},
                stats={name: values[row] for name, values in stats.items()},
                traces={name: values[row] for name, values in traces.items()},
            )
            self._seen += 1

    def gather(self) -> None:
        """Brings the samples of all processes together."""
        shares = from_all_processes(self._records)
        self._records = {index: record for share in shares for index, record in sorted(share.items())}

    def rows(self) -> list[dict[str, Any]]:
        """One row a sample, in the data's order: index, key, sequence, measures, stats."""
        rows = []
        for index, record in sorted(self._records.items()):
            means = {name: total / count for name, (total, count) in record.sums.items() if count > 0}
            rows.append({"index": index, "key": record.key, "sequence": record.sequence, **means, **record.stats})
        return rows

    def sequences(self) -> list[dict[str, Any]]:
        """One row a sequence, its measures pooled over its samples' pixels."""
        pooled: dict[str, FlowMetrics] = {}
        for _, record in sorted(self._records.items()):
            sums = {
                name: (torch.tensor([total], dtype=torch.float64), torch.tensor([count], dtype=torch.float64))
                for name, (total, count) in record.sums.items()
            }
            pooled.setdefault(record.sequence, FlowMetrics()).update(sums)
        return [{"sequence": name, **metrics.compute()} for name, metrics in pooled.items()]

    def solver(self) -> dict[str, float]:
        """What a solver did: the samples' means, and how many percent of them converged; empty without a solver."""
        stats = [record.stats for record in self._records.values() if "reason" in record.stats]
        if not stats:
            return {}
        numbers = {name: [float(one[name]) for one in stats] for name in _SOLVER_MEANS}
        finite = {name: [number for number in values if math.isfinite(number)] for name, values in numbers.items()}
        means = {name: statistics.fmean(values) for name, values in finite.items() if values}
        return means | {"converged": 100 * statistics.fmean(one["reason"] == "converged" for one in stats)}

    def traces(self) -> list[Trace]:
        """The residuals of every sample that a solver was at, in the data's order."""
        return [
            Trace(
                record.key,
                str(record.stats["reason"]),
                # Not what the rest of the batch went on for.
                *(record.traces[name][: int(record.stats["steps"])] for name in _TRACES),
            )
            for _, record in sorted(self._records.items())
            if record.traces.keys() >= set(_TRACES)
        ]


def _figures(name: str, values: Tensor) -> list[float] | list[str]:
    return [StopReason(value).name.lower() for value in values.tolist()] if name == "reason" else values.tolist()
