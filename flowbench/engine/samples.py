"""What a test leaves of every sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from flowbench.metrics import FlowMetrics
from flowbench.models.base import FlowModel
from flowbench.structures import FlowBatch


@dataclass(frozen=True)
class _Record:
    """sums: measure -> (sum, pixels). stats: what the network reports of itself."""

    key: str
    sums: dict[str, tuple[float, float]]
    stats: dict[str, float]

    @property
    def sequence(self) -> str:
        return self.key.rpartition("/")[0]


class SampleRecorder(Callback):
    """Keeps the error sums and the network's own figures of every tested sample, over all processes."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        self._seen = 0

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: FlowModel, outputs: dict, batch: FlowBatch, *_: Any
    ) -> None:
        sums = {name: list(zip(total.tolist(), count.tolist())) for name, (total, count) in outputs["sums"].items()}
        stats = {name: values.tolist() for name, values in outputs["stats"].items()}
        for place, key in enumerate(batch.key):
            # The order in which EvaluationSampler shares the samples out.
            index = trainer.global_rank + self._seen * trainer.world_size
            self._records[index] = _Record(
                key,
                {name: pairs[place] for name, pairs in sums.items()},
                {name: values[place] for name, values in stats.items()},
            )
            self._seen += 1

    def gather(self) -> None:
        """Brings the samples of all processes together."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            shares: list[Any] = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(shares, self._records)
            self._records = {index: record for share in shares for index, record in share.items()}

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
                name: tuple(torch.tensor([figure], dtype=torch.float64) for figure in pair)
                for name, pair in record.sums.items()
            }
            pooled.setdefault(record.sequence, FlowMetrics()).update(sums)
        return [{"sequence": name, **metrics.compute()} for name, metrics in pooled.items()]
