"""What training minimises."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flowbench.errors import FlowBenchError
from flowbench.structures import FlowBatch, FlowOutput


@dataclass(frozen=True)
class SequenceLoss:
    """RAFT's loss over successive predictions (arXiv 2003.12039, section 3.4): sum_i gamma^(n-1-i) * mean |flow_i - truth|.

    The mean runs over all pixels and both components; pixels that are invalid or move by max_flow or more count as zeros.
    """

    gamma: float = 0.8
    max_flow: float = 400.0

    def __call__(self, output: FlowOutput, batch: FlowBatch) -> Tensor:
        """output.predictions: n flows (B, 2, H, W). Returns a scalar in pixels."""
        total = batch.flow.new_zeros(())
        for term in self.terms(output, batch):
            total = self.gamma * total + term
        return total

    def terms(self, output: FlowOutput, batch: FlowBatch) -> list[Tensor]:
        """mean |flow_i - truth| of each prediction, in order, not yet weighted."""
        if not output.predictions:
            raise FlowBenchError("There are no predictions to learn from: in eval mode, call model.train() first.")
        counted = (batch.valid & (batch.flow.square().sum(dim=1) < self.max_flow**2)).unsqueeze(1)
        # torch.where rather than a product: an invalid pixel may hold an infinite or undefined truth.
        return [torch.where(counted, (prediction - batch.flow).abs(), 0.0).mean() for prediction in output.predictions]
