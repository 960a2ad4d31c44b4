"""The model class of DEQ-Flow in all its sizes, with and without GMA."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from flowbench.checkpoints.official import deqflow_variant, from_deqflow
from flowbench.checkpoints.settings import remembered_number
from flowbench.deq import StopReason
from flowbench.deq.normalisation import weights_computed_once
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel, ModelParts
from flowbench.models.images import ImageLike
from flowbench.networks.deqflow import DEQFlow, size_of
from flowbench.structures import FlowBatch, FlowOutput


class DEQFlowParts(ModelParts, total=False):
    spectral_radius: int


class DEQFlowModel(FlowModel):
    """A DEQ-Flow, which logs its solver's steps and residuals.

    Args:
        network: The DEQ-Flow.
        spectral_radius: Steps of the power iteration that estimates the spectral radius of the Jacobian on the first batch
            of each validation; 0 for no estimate.
        **parts: FlowModel's other arguments.
    """

    validation_figures = ("val/spectral_radius",)

    network: DEQFlow

    def __init__(self, *, network: DEQFlow, spectral_radius: int = 0, **parts: Unpack[ModelParts]) -> None:
        super().__init__(network=network, **parts)
        if spectral_radius < 0:
            raise ValueError(f"spectral_radius={spectral_radius}: give a number of steps, or 0 for none.")
        self.spectral_radius = spectral_radius
        self._warned = False

    @staticmethod
    def from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return from_deqflow(state)

    @classmethod
    def official_changes(cls, config: Mapping[str, Any], state: dict[str, Tensor]) -> dict[str, Any]:
        variant = deqflow_variant(state)
        if variant is None:
            return {}
        if size_of(variant.hidden) != config["network"]["size"]:
            held = f"deqflow_{size_of(variant.hidden)}" if size_of(variant.hidden) else "a DEQ-Flow of no known size"
            raise FlowBenchError(
                f"The checkpoint holds the model '{held}', but model={config['name']} was asked for: choose the model that "
                "it was trained as."
            )
        return {"network": {"weight_norm": variant.weight_norm, "gma": variant.gma, "head": variant.head}}

    @classmethod
    def changes_for_weights_of(cls, config: Mapping[str, Any], remembered: Mapping[str, Any]) -> dict[str, Any] | None:
        """DEQ-Flow and DeltaDEQ of one size have the same parameters."""
        family = str(remembered.get("name")).partition("_")[0]
        network = remembered["network"]
        if family not in ("deqflow", "deltadeq") or network.get("size") != config["network"]["size"]:
            return None
        return {"network": {name: remembered_number(network, name) for name in ("weight_norm", "gma", "head")}}

    def estimate_settings(self) -> dict[str, Any]:
        return {"solver": str(self.network.deq.solver), "warm": self.network.warm}

    @torch.no_grad()
    def flows_after_steps(self, image1: ImageLike, image2: ImageLike) -> Iterator[Tensor]:
        """The flow that `estimate` would give if the solver ended after step 1, 2, ..., up to the last one that it takes."""
        images = self._as_batch(image1), self._as_batch(image2)
        was_training = self.training
        self.eval()
        try:
            with weights_computed_once(self.network.update_block):
                refine, start = self.network.problem(*self.padded(*images), normalised=True)
                solution = self.network.solve(refine, start, range(1, self.network.eval_iterations + 1))
        finally:
            self.train(was_training)
        for state in solution.states[: solution.stats.steps.max()]:
            yield self.padder.unpad(self.network.decode(state, refine.grid), *images[0].shape[-2:])

    @torch.no_grad()
    def log_training(self, output: FlowOutput, batch: FlowBatch, terms: Sequence[Tensor]) -> None:
        for number, term in enumerate(terms, start=1):
            self.log(f"train/loss_{number}", term, batch_size=len(batch))
        for name in ("steps", "abs_residual", "rel_residual"):
            self.log(f"train/{name}", output.stats[name].float().mean(), batch_size=len(batch))
        if output.regularisation is not None:
            self.log("train/regularisation", output.regularisation, batch_size=len(batch))
        self._warn_of_divergence(output.stats["reason"] == StopReason.DIVERGED, batch)

    def _warn_of_divergence(self, diverged: Tensor, batch: FlowBatch) -> None:
        if self._warned or not bool(diverged.any()):
            return
        self._warned = True
        keys = ", ".join(key for key, failed in zip(batch.key, diverged.tolist(), strict=True) if failed)
        warnings.warn(
            f"The solver diverged at step {self.global_step} on {keys}, and went back to its last finite state, from "
            "which nothing is learnt; this is said once. If it goes on, lower the learning rate, or damp the solver "
            "(solver=damped).",
            stacklevel=2,
        )

    def validation_step(self, batch: FlowBatch, batch_index: int) -> None:
        super().validation_step(batch, batch_index)
        if self.spectral_radius and batch_index == 0:
            images = (self.padder.pad(batch.image1), self.padder.pad(batch.image2))
            radius = self.network.spectral_radius(*images, steps=self.spectral_radius)
            self.log("val/spectral_radius", radius.mean(), batch_size=len(batch), sync_dist=True)
