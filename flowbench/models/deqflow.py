"""DEQ-Flow in all its sizes, with and without GMA."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from flowbench.checkpoints.official import deqflow_variant, from_deqflow
from flowbench.deq import StopReason
from flowbench.deq.normalisation import weights_computed_once
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel, Picture
from flowbench.networks.deqflow import size_of
from flowbench.structures import FlowBatch, FlowOutput


class DEQFlowModel(FlowModel):
    """Logs what the solver did; spectral_radius: steps of its estimate on every first batch of a validation, 0 for none."""

    def __init__(self, *, spectral_radius: int = 0, **parts: Any) -> None:
        super().__init__(**parts)
        self.spectral_radius = spectral_radius
        self._warned = False

    @staticmethod
    def from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return from_deqflow(state)

    def official_changes(self, state: dict[str, Tensor]) -> dict[str, Any]:
        variant = deqflow_variant(state)
        if variant is None:
            return {}
        held = f"deqflow_{size_of(variant.hidden)}"
        if held != self.name:
            raise FlowBenchError(
                f"The checkpoint holds the model '{held}', but model={self.name} was asked for: add model={held}."
            )
        return {"network": {"weight_norm": variant.weight_norm, "gma": variant.gma, "head": variant.head}}

    @torch.no_grad()
    def flows_after_steps(self, image1: Picture, image2: Picture) -> Iterator[Tensor]:
        """The flow that `estimate` would give if the solver ended after step 1, 2, ..., up to the last one that it takes."""
        image1, image2 = self._as_batch(image1), self._as_batch(image2)
        was_training = self.training
        self.eval()
        try:
            with weights_computed_once(self.network.update_block):
                refine, start = self.network.problem(self.fitting.fit(image1), self.fitting.fit(image2))
                solution = self.network.deq.solve(refine, start, range(1, self.iterations + 1))
        finally:
            self.train(was_training)
        for state in solution.states[: solution.stats.steps.max()]:
            yield self.fitting.restore(self.network.decode(state, refine.grid), *image1.shape[-2:])

    def log_training(self, output: FlowOutput, batch: FlowBatch) -> None:
        for number, term in enumerate(self.objective.terms(output, batch), start=1):
            self.log(f"train/loss_{number}", term.detach(), batch_size=len(batch))
        for name in ("steps", "abs_residual", "rel_residual"):
            self.log(f"train/{name}", output.stats[name].float().mean(), batch_size=len(batch))
        if output.regularisation is not None:
            self.log("train/regularisation", output.regularisation.detach(), batch_size=len(batch))
        self._warn_of_divergence(output.stats["reason"] == StopReason.DIVERGED, batch)

    def _warn_of_divergence(self, diverged: Tensor, batch: FlowBatch) -> None:
        if self._warned or not bool(diverged.any()):
            return
        self._warned = True
        keys = ", ".join(key for key, one in zip(batch.key, diverged.tolist(), strict=True) if one)
        rank_zero_warn(
            f"The solver diverged at step {self.global_step} on {keys}, and went back to its last finite state; this is "
            "said once. If it goes on, lower schedule.lr, or damp the solver: model/solver=damped."
        )

    def validation_step(self, batch: FlowBatch, batch_index: int) -> None:
        super().validation_step(batch, batch_index)
        if self.spectral_radius and batch_index == 0:
            radius = self.network.spectral_radius(batch.image1, batch.image2, steps=self.spectral_radius)
            self.log("val/spectral_radius", radius.mean(), batch_size=len(batch), sync_dist=True)
