"""A test of a model: plain estimates, in a cascade, or each from the pair before."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.rank_zero import rank_zero_warn

from flowbench.errors import FlowBenchError
from flowbench.metrics import FlowMetrics, sample_sums
from flowbench.models.base import FlowModel
from flowbench.models.cascade import CascadeLike
from flowbench.models.sequences import WarmStart
from flowbench.structures import FlowBatch, FlowOutput


class EvaluationModule(pl.LightningModule):
    """A model for `Trainer.test`. Each batch's outputs are the error sums per pair ("sums") and the network's "stats".

    Args:
        model: What is tested.
        cascade: Coarse-to-fine estimates, as `FlowModel.estimate` takes it.
        warm_start: Each pair of a sequence starts from the one before.

    Attributes:
        results: The metrics of the last test, over all processes.
    """

    def __init__(
        self,
        model: FlowModel,
        *,
        cascade: CascadeLike = None,
        warm_start: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.cascade = cascade
        self.warm_start = warm_start
        self.metrics = FlowMetrics()
        self.results: dict[str, float] = {}
        self._sequence: WarmStart | None = None

    def on_test_start(self) -> None:
        if self.warm_start and self.trainer.world_size > 1:
            raise FlowBenchError(
                f"warm_start=true starts each pair from the one before, but {self.trainer.world_size} processes share the "
                "pairs out: use trainer=default trainer.devices=1, or leave warm_start out."
            )
        self._sequence = self.model.warm_started() if self.warm_start else None

    def test_step(self, batch: FlowBatch, batch_index: int) -> dict[str, Any]:
        output = self._estimate(batch)
        sums = sample_sums(output.flow, batch)
        self.metrics.update(sums)
        return {"sums": sums, "stats": output.stats}

    def on_test_epoch_end(self) -> None:
        self.results = self.metrics.compute()
        self.metrics.reset()
        if self._sequence is not None and not self._sequence.warm_pairs:
            rank_zero_warn("warm_start=true changed nothing: no pair continues the one before, so all started cold.")

    def _estimate(self, batch: FlowBatch) -> FlowOutput:
        if self._sequence is None:
            return self.model.estimate_batch(batch.image1, batch.image2, cascade=self.cascade)
        if len(batch) > 1:
            raise FlowBenchError(
                f"warm_start=true starts each pair from the one before, but {len(batch)} pairs come at once: set "
                "data.eval_batch_size=1, or leave warm_start out."
            )
        return self._sequence.estimate(batch.image1, batch.image2, batch.key[0])
