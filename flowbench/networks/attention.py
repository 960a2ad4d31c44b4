"""Global motion aggregation (GMA; Jiang et al., ICCV 2021, arXiv 2104.02409): motion from where the context is alike."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn


class Attention(nn.Module):
    """context (B, C, H, W) -> attention between all positions, (B, HW, HW), whose rows sum to 1."""

    def __init__(self, *, context: int) -> None:
        super().__init__()
        self.to_qk = nn.Conv2d(context, 2 * context, 1, bias=False)

    def forward(self, context: Tensor) -> Tensor:
        queries, keys = rearrange(self.to_qk(context), "b (two c) h w -> two b (h w) c", two=2)
        scores = (queries * context.shape[1] ** -0.5) @ keys.transpose(1, 2)
        # Mixed precision may have widened it; it is read at every step.
        return scores.softmax(dim=-1).to(scores.dtype)


class Aggregator(nn.Module):
    """motion (B, C, H, W) -> motion + gamma * its attention-weighted sum."""

    def __init__(self, *, motion: int) -> None:
        super().__init__()
        self.to_v = nn.Conv2d(motion, motion, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def prepare(self, attention: Tensor) -> Aggregation:
        return Aggregation(self, attention)


@dataclass(frozen=True)
class Aggregation:
    """The aggregator with the attention of a pair, which is constant over the iterations."""

    aggregator: Aggregator
    attention: Tensor

    def __call__(self, motion: Tensor) -> Tensor:
        values = rearrange(self.aggregator.to_v(motion), "b c h w -> b (h w) c")
        gathered = rearrange(self.attention.to(values.dtype) @ values, "b (h w) c -> b c h w", h=motion.shape[2])
        return motion + self.aggregator.gamma.to(gathered.dtype) * gathered

    def select(self, index: Tensor) -> Aggregation:
        return Aggregation(self.aggregator, self.attention[index])
