"""Training objectives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from flowbench.errors import FlowBenchError
from flowbench.ops.pooling import POOLINGS, PoolingKind, pool_flow
from flowbench.structures import FlowBatch, FlowOutput


class Loss(NamedTuple):
    """total: what training minimises, a scalar. terms: a scalar for each prediction, not yet weighted."""

    total: Tensor
    terms: list[Tensor]


class Objective(ABC):
    """objective(output, batch) -> Loss: the weighted sum of one term per prediction, and the terms."""

    def __call__(self, output: FlowOutput, batch: FlowBatch) -> Loss:
        terms = self.terms(output, batch)
        return Loss(self.weighted(terms), terms)

    @abstractmethod
    def terms(self, output: FlowOutput, batch: FlowBatch) -> list[Tensor]:
        """A scalar for each of output.predictions, in their order, not yet weighted."""

    @abstractmethod
    def weighted(self, terms: Sequence[Tensor]) -> Tensor:
        """The weighted sum of the terms, a scalar."""


@dataclass(frozen=True)
class SequenceLoss(Objective):
    """RAFT's loss over successive predictions (arXiv 2003.12039, section 3.4): sum_i gamma^(n-1-i) * mean |flow_i - gt|.

    The mean runs over all pixels and both components; pixels that are invalid or move by max_flow or more count as zeros.

    Args:
        gamma: the weight of each prediction relative to the next one.
        max_flow: pixels.
    """

    gamma: float = 0.8
    max_flow: float = 400.0

    def terms(self, output: FlowOutput, batch: FlowBatch) -> list[Tensor]:
        """mean |flow_i - gt| of each of output.predictions, n flows (B, 2, H, W), in pixels."""
        _check_predictions(output)
        counted = (batch.valid & (batch.flow.square().sum(dim=1) < self.max_flow**2)).unsqueeze(1)
        # torch.where rather than a product: an invalid pixel may hold an infinite or undefined ground truth.
        return [torch.where(counted, (prediction - batch.flow).abs(), 0.0).mean() for prediction in output.predictions]

    def weighted(self, terms: Sequence[Tensor]) -> Tensor:
        return reduce(lambda total, term: self.gamma * total + term, terms)


@dataclass(frozen=True)
class MultiLevelLoss(Objective):
    """A weighted sum over predictions of several resolutions, each against the ground truth pooled to its size.

    Pixels without ground truth count as zeros.

    Args:
        weights: one per prediction, finest first.
        flow_unit: pixels that a predicted 1 stands for.
        distance: of a predicted vector from the true one: "l2", its length (FlowNet, PWC-Net, arXiv 1709.02371); "l1", the
            sum of its components' absolute values; "robust", (l1 + 0.01)^0.4 (PWC-Net's fine-tuning).
        total: "sum" adds up the pixels of a pair and averages over the pairs; "mean" averages over all pixels.
        pooling: of the ground truth, see `pool_flow`.
    """

    weights: Sequence[float]
    flow_unit: float = 20.0
    distance: Literal["l2", "l1", "robust"] = "l2"
    total: Literal["sum", "mean"] = "sum"
    pooling: PoolingKind = "mean"

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Sequence):
            raise FlowBenchError(f"The objective's weights are {self.weights}: give a list, finest prediction first.")
        if self.distance not in _DISTANCES:
            raise FlowBenchError(f"Unknown distance '{self.distance}': choose one of {', '.join(_DISTANCES)}.")
        if self.pooling not in POOLINGS:
            raise FlowBenchError(f"Unknown pooling '{self.pooling}': choose one of {', '.join(POOLINGS)}.")
        if self.total not in ("sum", "mean"):
            raise FlowBenchError(f"Unknown total '{self.total}': choose sum or mean.")

    def terms(self, output: FlowOutput, batch: FlowBatch) -> list[Tensor]:
        """The mean distance of each of output.predictions, flows (B, 2, h, w) of any sizes, in units of flow_unit pixels."""
        _check_predictions(output)
        if len(self.weights) != len(output.predictions):
            raise FlowBenchError(
                f"The objective has {len(self.weights)} weights for {len(output.predictions)} predictions: give as "
                "many, finest first."
            )
        truth = batch.flow / self.flow_unit
        return [self._term(prediction, truth, batch.valid) for prediction in output.predictions]

    def weighted(self, terms: Sequence[Tensor]) -> Tensor:
        return reduce(torch.add, (weight * term for weight, term in zip(self.weights, terms, strict=True)))

    def _term(self, prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        height, width = prediction.shape[-2:]
        pooled, known = pool_flow(truth, valid, (height, width), self.pooling)
        distances = torch.where(known, _DISTANCES[self.distance](prediction - pooled), 0.0)
        return distances.mean() if self.total == "mean" else distances.sum() / len(prediction)


_DISTANCES = {
    "l2": lambda difference: torch.linalg.vector_norm(difference, dim=1),
    "l1": lambda difference: difference.abs().sum(dim=1),
    "robust": lambda difference: (difference.abs().sum(dim=1) + 0.01) ** 0.4,
}


def _check_predictions(output: FlowOutput) -> None:
    if not output.predictions:
        raise FlowBenchError("There are no predictions to learn from: in eval mode, call model.train() first.")
