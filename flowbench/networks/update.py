"""The recurrent update of RAFT (arXiv 2003.12039, section 3.3): motion encoder, gated recurrent unit, flow head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowbench.deq.dropout import dropout_mask
from flowbench.networks.attention import Aggregation, Aggregator
from flowbench.ops.activations import tanh


def relu(x: Tensor, overwrite: bool) -> Tensor:
    return F.relu(x, inplace=overwrite)


def _sigmoid(x: Tensor, overwrite: bool) -> Tensor:
    return x.sigmoid_() if overwrite else x.sigmoid()


def _tanh(x: Tensor, overwrite: bool) -> Tensor:
    return tanh(x)


def _identity(x: Tensor, overwrite: bool) -> Tensor:
    return x


# (x, whether x may be overwritten) -> the activation of x.
Activation = Callable[[Tensor, bool], Tensor]


@dataclass(frozen=True, eq=False)
class SplitConv:
    """Convolutions over [hidden, context, motion], stacked, without the weights on the context.

    The context does not change over the iterations, so its share of the output is computed once per pair; see `split_off`.

    Attributes:
        weight: (outputs, hidden + motion, kh, kw).
        padding: that of the convolutions.
        layers: the convolutions, in the order of their outputs.
    """

    weight: Tensor
    padding: tuple[int, int]
    layers: tuple[nn.Conv2d, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, padding=self.padding)


Layer = nn.Conv2d | SplitConv


class Convolve(Protocol):
    """The operator that carries out the convolutions of the update."""

    def __call__(self, layer: Layer, x: Tensor, activation: Activation, constant: Tensor | None = None) -> Tensor:
        """activation(layer(x) + constant), or an approximation of it.

        Args:
            layer: one of the update's convolutions, each of which comes once per step.
            x: (B, Cin, H, W).
            activation: what follows the convolution.
            constant: (B, Cout, H, W), the context's share; the same tensor at every step.
        """
        ...


def dense(layer: Layer, x: Tensor, activation: Activation, constant: Tensor | None = None) -> Tensor:
    """The dense operator; see `Convolve` for the arguments."""
    output = layer(x)
    if constant is not None:
        output = output.add_(constant)
    return activation(output, True)


class MotionEncoder(nn.Module):
    """Correlation windows and flow -> motion features; the flow itself is their last two channels.

    Args:
        windows: channels of the correlation windows.
        corr, flow: output channels of the two convolutions of the windows, and of the flow.
        outputs: channels of the motion features, with the flow.
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

    def forward(
        self, flow: Tensor, windows: Tensor, dropout: MotionDropout | None = None, convolve: Convolve = dense
    ) -> Tensor:
        """(B, outputs, H, W).

        Args:
            flow: (B, 2, H, W) in pixels of this resolution.
            windows: (B, windows, H, W), the correlation around where the flow points.
            dropout: the masks of `draw`.
            convolve: carries out the convolutions.
        """
        corr, features = convolve(self.convc1, windows, relu), convolve(self.convf1, flow, relu)
        if dropout is not None:
            corr, features = corr * dropout.corr, features * dropout.flow
        corr, features = convolve(self.convc2, corr, relu), convolve(self.convf2, features, relu)
        motion = convolve(self.conv, torch.cat([corr, features], dim=1), relu)
        return torch.cat([motion, flow.to(motion.dtype)], dim=1)


@dataclass(frozen=True)
class MotionDropout:
    """Masks of the motion encoder's dropout, in the shapes of the features that they multiply."""

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
        """RAFT small has no dropout."""

    def forward(self, flow: Tensor, windows: Tensor, dropout: None = None, convolve: Convolve = dense) -> Tensor:
        """As MotionEncoder.forward."""
        corr = convolve(self.convc1, windows, relu)
        features = convolve(self.convf2, convolve(self.convf1, flow, relu), relu)
        motion = convolve(self.conv, torch.cat([corr, features], dim=1), relu)
        return torch.cat([motion, flow.to(motion.dtype)], dim=1)


@dataclass(frozen=True)
class GatedPass:
    """The convolutions of one gated update of the hidden state, for one context.

    Args:
        gates: z and r of `gated_update`, stacked.
        gates_context: the context's share of their output, (B, 2 hidden, H, W).
        candidate: q.
        candidate_context: the context's share of its output, (B, hidden, H, W).
    """

    gates: SplitConv
    gates_context: Tensor
    candidate: SplitConv
    candidate_context: Tensor

    def select(self, index: Tensor) -> GatedPass:
        return replace(self, gates_context=self.gates_context[index], candidate_context=self.candidate_context[index])


def split_off(layers: tuple[nn.Conv2d, ...], context: Tensor, hidden: int) -> tuple[SplitConv, Tensor]:
    """Convolutions over [hidden, context, motion], stacked and split: what acts on [hidden, motion], and the context's share.

    Args:
        layers: convolutions of the same input, kernel and padding.
        context: (B, C, H, W).
        hidden: channels of the hidden state.
    """
    height, width = layers[0].kernel_size
    padding = (height // 2, width // 2)
    weight = torch.cat([layer.weight for layer in layers])
    bias = torch.cat([layer.bias for layer in layers if layer.bias is not None])
    sizes = [hidden, context.shape[1], weight.shape[1] - hidden - context.shape[1]]
    on_hidden, on_context, on_motion = weight.split(sizes, dim=1)
    share = F.conv2d(context, on_context, bias, padding=padding)
    # In the dtype of the convolution's result, so that mixed precision does not cast the weights anew at every step.
    changing = torch.cat([on_hidden, on_motion], dim=1).to(share.dtype)
    return SplitConv(changing.contiguous(memory_format=torch.channels_last), padding, layers), share


def gated_update(hidden: Tensor, motion: Tensor, gated: GatedPass, convolve: Convolve = dense) -> Tensor:
    """The equations of the gated recurrent unit; c is the context, m the motion:

        z = sigmoid(conv_z [h, c, m])
        r = sigmoid(conv_r [h, c, m])
        q = tanh(conv_q [r h, c, m])
        h <- (1 - z) h + z q

    Args:
        hidden: h, (B, hidden, H, W).
        motion: m, (B, motion, H, W).
        gated: the convolutions, with the context's shares.
        convolve: carries out the convolutions.
    """
    gates = convolve(gated.gates, torch.cat([hidden, motion], dim=1), _sigmoid, gated.gates_context)
    z, r = gates.chunk(2, dim=1)
    q = convolve(gated.candidate, torch.cat([r * hidden, motion], dim=1), _tanh, gated.candidate_context)
    return torch.lerp(hidden, q, z)


class _GatedUnit(nn.Module):
    """The passes of a gated recurrent unit, one after the other."""

    def forward(
        self, hidden: Tensor, motion: Tensor, passes: tuple[GatedPass, ...], convolve: Convolve = dense
    ) -> Tensor:
        """The next hidden state; see `gated_update`. passes: those of `prepare`."""
        for gated in passes:
            hidden = gated_update(hidden, motion, gated, convolve)
        return hidden


class ConvGRU(_GatedUnit):
    """A 3x3 convolutional gated recurrent unit.

    Args:
        hidden: channels of the hidden state.
        inputs: channels of the context and the motion together.
    """

    def __init__(self, *, hidden: int, inputs: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.convz = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convr = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convq = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)

    def prepare(self, context: Tensor) -> tuple[GatedPass, ...]:
        """The passes for a context, (B, C, H, W)."""
        return (_prepared(self.convz, self.convr, self.convq, context, self.hidden),)


class SepConvGRU(_GatedUnit):
    """A convolutional gated recurrent unit of two passes, 1x5 and 5x1. The arguments are those of ConvGRU."""

    def __init__(self, *, hidden: int, inputs: int) -> None:
        super().__init__()
        self.hidden = hidden

        def conv(height: int, width: int) -> nn.Conv2d:
            return nn.Conv2d(hidden + inputs, hidden, (height, width), padding=(height // 2, width // 2))

        self.convz1, self.convr1, self.convq1 = conv(1, 5), conv(1, 5), conv(1, 5)
        self.convz2, self.convr2, self.convq2 = conv(5, 1), conv(5, 1), conv(5, 1)

    def prepare(self, context: Tensor) -> tuple[GatedPass, ...]:
        """The passes for a context, (B, C, H, W)."""
        return (
            _prepared(self.convz1, self.convr1, self.convq1, context, self.hidden),
            _prepared(self.convz2, self.convr2, self.convq2, context, self.hidden),
        )


def _prepared(z: nn.Conv2d, r: nn.Conv2d, q: nn.Conv2d, context: Tensor, hidden: int) -> GatedPass:
    return GatedPass(*split_off((z, r), context, hidden), *split_off((q,), context, hidden))


class FlowHead(nn.Module):
    """Hidden state -> change of flow, (B, 2, H, W)."""

    def __init__(self, *, hidden: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(hidden, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, hidden: Tensor, convolve: Convolve = dense) -> Tensor:
        return convolve(self.conv2, convolve(self.conv1, hidden, relu), _identity)


class MaskHead(nn.Sequential):
    """Hidden state -> logits of the convex upsampling by 8, (B, 576, H, W)."""

    def __init__(self, *, hidden: int) -> None:
        super().__init__(nn.Conv2d(hidden, 256, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(256, 576, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        # RAFT's code scales the gradients of this branch down by it; all weights that were trained so expect it.
        return 0.25 * super().forward(hidden)


class UpdateBlock(nn.Module):
    """The recurrent update.

    Args:
        encoder: of motion features.
        gru: the recurrent unit.
        flow_head: gives the change of flow.
        gma: gathers motion from positions with similar context; None for no global motion aggregation.
    """

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
        """The step for a batch of pairs, with all that is constant over the iterations.

        Args:
            context: (B, C, H, W).
            attention: (B, HW, HW), for gma.
        """
        aggregation = None
        if self.gma is not None:
            if attention is None:
                raise ValueError("An update block with gma needs the attention of the context.")
            aggregation = self.gma.prepare(attention)
        return UpdateStep(self, context, self.gru.prepare(context), self.encoder.draw(context), aggregation)

    def forward(
        self, hidden: Tensor, windows: Tensor, flow: Tensor, step: UpdateStep, convolve: Convolve = dense
    ) -> tuple[Tensor, Tensor]:
        """The next hidden state, (B, hidden, H, W), and the change of flow, (B, 2, H, W).

        Args:
            hidden: (B, hidden, H, W).
            windows: (B, windows, H, W), the correlation around where the flow points.
            flow: (B, 2, H, W).
            step: what `prepare` gave.
            convolve: carries out the convolutions.
        """
        motion = self.encoder(flow, windows, step.dropout, convolve)
        if step.aggregation is not None:
            motion = torch.cat([motion, step.aggregation(motion)], dim=1)
        hidden = self.gru(hidden, motion, step.passes, convolve)
        return hidden, self.flow_head(hidden, convolve)


@dataclass(frozen=True)
class UpdateStep:
    """An update block prepared for a batch of pairs: (hidden, windows, flow) -> (hidden, change of flow).

    Args:
        block: the update block.
        context: (B, C, H, W).
        passes: of the recurrent unit.
        dropout: masks of the motion encoder, or None.
        aggregation: of motion, or None.
    """

    block: UpdateBlock
    context: Tensor
    passes: tuple[GatedPass, ...]
    dropout: MotionDropout | None
    aggregation: Aggregation | None

    def __call__(
        self, hidden: Tensor, windows: Tensor, flow: Tensor, convolve: Convolve = dense
    ) -> tuple[Tensor, Tensor]:
        return self.block(hidden, windows, flow, self, convolve)

    def select(self, index: Tensor) -> UpdateStep:
        return replace(
            self,
            context=self.context[index],
            passes=tuple(gated.select(index) for gated in self.passes),
            dropout=None if self.dropout is None else self.dropout.select(index),
            aggregation=None if self.aggregation is None else self.aggregation.select(index),
        )
