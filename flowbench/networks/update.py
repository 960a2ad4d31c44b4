"""The recurrent update of RAFT (arXiv 2003.12039, section 3.3): motion encoder, gated recurrent unit, flow head."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowbench.deq.dropout import dropout_mask
from flowbench.networks.attention import Aggregation, Aggregator
from flowbench.ops.activations import tanh


class MotionEncoder(nn.Module):
    """Correlation windows and flow -> motion features; the flow itself is their last two channels.

    dropout: the share that is dropped after the first convolution of either, in training; see `draw`.
    """

    def __init__(
        self, *, windows: int, corr: tuple[int, int], flow: tuple[int, int], outputs: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}: give a share of at least 0 and below 1.")
        self.dropout = dropout
        self.convc1 = nn.Conv2d(windows, corr[0], 1)
        self.convc2 = nn.Conv2d(corr[0], corr[1], 3, padding=1)
        self.convf1 = nn.Conv2d(2, flow[0], 7, padding=3)
        self.convf2 = nn.Conv2d(flow[0], flow[1], 3, padding=1)
        self.conv = nn.Conv2d(corr[1] + flow[1], outputs - 2, 3, padding=1)

    def draw(self, like: Tensor) -> MotionDropout | None:
        """Variational dropout for all steps of a forward pass; None outside of training. like: (B, any, H, W)."""
        if not self.training or self.dropout == 0:
            return None
        batch, _, height, width = like.shape
        corr, flow = (
            dropout_mask((batch, conv.out_channels, height, width), self.dropout, like=like)
            for conv in (self.convc1, self.convf1)
        )
        return MotionDropout(corr, flow)

    def forward(self, flow: Tensor, windows: Tensor, dropout: MotionDropout | None = None) -> Tensor:
        corr, features = self.convc1(windows).relu_(), self.convf1(flow).relu_()
        if dropout is not None:
            corr, features = corr * dropout.corr, features * dropout.flow
        corr, features = self.convc2(corr).relu_(), self.convf2(features).relu_()
        motion = self.conv(torch.cat([corr, features], dim=1)).relu_()
        return torch.cat([motion, flow.to(motion.dtype)], dim=1)


@dataclass(frozen=True)
class MotionDropout:
    corr: Tensor
    flow: Tensor

    def select(self, index: Tensor) -> MotionDropout:
        return MotionDropout(self.corr[index], self.flow[index])


class SmallMotionEncoder(nn.Module):
    """The motion encoder of RAFT small: 82 channels, the last two the flow."""

    def __init__(self, *, windows: int) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(windows, 96, 1)
        self.convf1 = nn.Conv2d(2, 64, 7, padding=3)
        self.convf2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv = nn.Conv2d(128, 80, 3, padding=1)

    def draw(self, like: Tensor) -> None:
        """RAFT small knows no dropout."""

    def forward(self, flow: Tensor, windows: Tensor, dropout: None = None) -> Tensor:
        corr = self.convc1(windows).relu_()
        features = self.convf2(self.convf1(flow).relu_()).relu_()
        motion = self.conv(torch.cat([corr, features], dim=1)).relu_()
        return torch.cat([motion, flow.to(motion.dtype)], dim=1)


@dataclass(frozen=True)
class GatedPass:
    """One gated update of the hidden state. The weights act on [hidden, motion]; the context's share is already added up."""

    gates_weight: Tensor
    gates_context: Tensor
    candidate_weight: Tensor
    candidate_context: Tensor
    padding: tuple[int, int]

    @classmethod
    def prepare(cls, z: nn.Conv2d, r: nn.Conv2d, q: nn.Conv2d, context: Tensor, hidden: int) -> GatedPass:
        """Convolutions over [hidden, context, motion]: the context is constant, so its share is computed once a pair."""
        gates = _split_off_context(
            torch.cat([z.weight, r.weight]), torch.cat([z.bias, r.bias]), context, hidden, z.padding
        )
        candidate = _split_off_context(q.weight, q.bias, context, hidden, q.padding)
        return cls(*gates, *candidate, padding=z.padding)

    def __call__(self, hidden: Tensor, motion: Tensor) -> Tensor:
        gates = F.conv2d(torch.cat([hidden, motion], dim=1), self.gates_weight, padding=self.padding)
        z, r = gates.add_(self.gates_context).sigmoid_().chunk(2, dim=1)
        reset = torch.cat([r * hidden, motion], dim=1)
        q = F.conv2d(reset, self.candidate_weight, padding=self.padding).add_(self.candidate_context)
        return torch.lerp(hidden, tanh(q), z)

    def select(self, index: Tensor) -> GatedPass:
        return replace(self, gates_context=self.gates_context[index], candidate_context=self.candidate_context[index])


@dataclass(frozen=True)
class RecurrentStep:
    """(hidden, motion) -> hidden, with all that is constant over the iterations already computed."""

    passes: tuple[GatedPass, ...]

    def __call__(self, hidden: Tensor, motion: Tensor) -> Tensor:
        for gated in self.passes:
            hidden = gated(hidden, motion)
        return hidden

    def select(self, index: Tensor) -> RecurrentStep:
        return RecurrentStep(tuple(gated.select(index) for gated in self.passes))


def _split_off_context(
    weight: Tensor, bias: Tensor, context: Tensor, hidden: int, padding: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    sizes = [hidden, context.shape[1], weight.shape[1] - hidden - context.shape[1]]
    on_hidden, on_context, on_motion = weight.split(sizes, dim=1)
    share = F.conv2d(context, on_context, bias, padding=padding)
    # In the dtype of the convolution's result, so that mixed precision does not cast the weights anew at every step.
    changing = torch.cat([on_hidden, on_motion], dim=1).to(share.dtype)
    return changing.contiguous(memory_format=torch.channels_last), share


class ConvGRU(nn.Module):
    """A 3x3 convolutional gated recurrent unit."""

    def __init__(self, *, hidden: int, inputs: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.convz = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convr = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convq = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)

    def prepare(self, context: Tensor) -> RecurrentStep:
        return RecurrentStep((GatedPass.prepare(self.convz, self.convr, self.convq, context, self.hidden),))


class SepConvGRU(nn.Module):
    """A convolutional gated recurrent unit of two passes, 1x5 and 5x1."""

    def __init__(self, *, hidden: int, inputs: int) -> None:
        super().__init__()
        self.hidden = hidden
        for number, kernel in ((1, (1, 5)), (2, (5, 1))):
            padding = (kernel[0] // 2, kernel[1] // 2)
            for gate in "zrq":
                self.add_module(f"conv{gate}{number}", nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding))

    def prepare(self, context: Tensor) -> RecurrentStep:
        across = GatedPass.prepare(self.convz1, self.convr1, self.convq1, context, self.hidden)
        down = GatedPass.prepare(self.convz2, self.convr2, self.convq2, context, self.hidden)
        return RecurrentStep((across, down))


class FlowHead(nn.Module):
    def __init__(self, *, hidden: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(hidden, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.conv2(self.conv1(hidden).relu_())


class MaskHead(nn.Sequential):
    """Hidden state -> logits of the convex upsampling by 8, (B, 576, H, W)."""

    def __init__(self, *, hidden: int) -> None:
        super().__init__(nn.Conv2d(hidden, 256, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(256, 576, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        return 0.25 * super().forward(hidden)


class UpdateBlock(nn.Module):
    """Motion encoder, recurrent unit and flow head; with `gma`, motion is also gathered from where the context is alike."""

    def __init__(
        self,
        *,
        encoder: MotionEncoder | SmallMotionEncoder,
        gru: ConvGRU | SepConvGRU,
        flow_head: FlowHead,
        gma: Aggregator | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.gru = gru
        self.flow_head = flow_head
        self.gma = gma

    def prepare(self, context: Tensor, attention: Tensor | None = None) -> UpdateStep:
        """The step for this context. attention: (B, HW, HW), for gma."""
        aggregation = None if self.gma is None else self.gma.prepare(attention)
        return UpdateStep(self, self.gru.prepare(context), self.encoder.draw(context), aggregation)


@dataclass(frozen=True)
class UpdateStep:
    """(hidden, windows, flow) -> (hidden, change of flow)."""

    block: UpdateBlock
    recurrent: RecurrentStep
    dropout: MotionDropout | None
    aggregation: Aggregation | None

    def __call__(self, hidden: Tensor, windows: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        motion = self.block.encoder(flow, windows, self.dropout)
        if self.aggregation is not None:
            motion = torch.cat([motion, self.aggregation(motion)], dim=1)
        hidden = self.recurrent(hidden, motion)
        return hidden, self.block.flow_head(hidden)

    def select(self, index: Tensor) -> UpdateStep:
        return replace(
            self,
            recurrent=self.recurrent.select(index),
            dropout=None if self.dropout is None else self.dropout.select(index),
            aggregation=None if self.aggregation is None else self.aggregation.select(index),
        )
