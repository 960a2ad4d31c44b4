"""The feature and context encoders of RAFT (arXiv 2003.12039, appendix), which DEQ-Flow shares. Output at 1/8 resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from flowbench.networks.base import one_of
from flowbench.ops.normalisation import instance_norm

Norm = Literal["instance", "batch", "none"]


class InstanceNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return instance_norm(x)


def _norm(kind: Norm, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return InstanceNorm() if kind == "instance" else nn.Identity()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions; a ReLU follows the second, too, before the sum: (B, inputs, H, W) -> (B, outputs, H/stride,
    W/stride).

    Args:
        inputs: Channels of the input.
        outputs: Channels of the result.
        norm: "instance", "batch" or "none", after each convolution.
        stride: Of the first convolution, and of a 1x1 convolution on the way around both where it is not 1.
    """

    def __init__(self, inputs: int, outputs: int, *, norm: Norm, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norm1 = _norm(norm, outputs)
        self.norm2 = _norm(norm, outputs)
        self.downsample = _skip(inputs, outputs, norm=norm, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(self.conv1(x)).relu_()
        y = self.norm2(self.conv2(y)).relu_()
        return (self.downsample(x) + y).relu_()


class BottleneckBlock(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution, the first two of a quarter of the width.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the result.
        norm: "instance", "batch" or "none", after each convolution.
        stride: Of the 3x3 convolution, and of a 1x1 convolution on the way around all three where it is not 1.
    """

    def __init__(self, inputs: int, outputs: int, *, norm: Norm, stride: int) -> None:
        super().__init__()
        narrow = outputs // 4
        self.conv1 = nn.Conv2d(inputs, narrow, 1)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(narrow, outputs, 1)
        self.norm1 = _norm(norm, narrow)
        self.norm2 = _norm(norm, narrow)
        self.norm3 = _norm(norm, outputs)
        self.downsample = _skip(inputs, outputs, norm=norm, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(self.conv1(x)).relu_()
        y = self.norm2(self.conv2(y)).relu_()
        y = self.norm3(self.conv3(y)).relu_()
        return (self.downsample(x) + y).relu_()


def _skip(inputs: int, outputs: int, *, norm: Norm, stride: int) -> nn.Module:
    if stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride), _norm(norm, outputs))


def _stage(
    block: type[ResidualBlock] | type[BottleneckBlock], inputs: int, outputs: int, *, norm: Norm, stride: int
) -> nn.Sequential:
    return nn.Sequential(block(inputs, outputs, norm=norm, stride=stride), block(outputs, outputs, norm=norm, stride=1))


class Encoder(nn.Module):
    """Stem, three stages of two blocks, and a 1x1 convolution: (B, 3, H, W) -> (B, outputs, H/8, W/8).

    Args:
        outputs: Channels of the result.
        norm: "instance", "batch" or "none", after every 3x3 convolution and those of a bottleneck.
        block: What the stages are made of.
        stem: Channels of the first convolution, at 1/2 resolution.
        stages: Channels at 1/2, 1/4 and 1/8 resolution.
        recompute: Whether training keeps only what enters each block, and computes the block again for the gradient.
    """

    def __init__(
        self,
        *,
        outputs: int,
        norm: Norm,
        block: type[ResidualBlock] | type[BottleneckBlock] = ResidualBlock,
        stem: int = 64,
        stages: tuple[int, int, int] = (64, 96, 128),
        recompute: bool = False,
    ) -> None:
        super().__init__()
        one_of("norm", norm, get_args(Norm))
        self.recompute = recompute
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3)
        self.norm1 = _norm(norm, stem)
        self.layer1 = _stage(block, stem, stages[0], norm=norm, stride=1)
        self.layer2 = _stage(block, stages[0], stages[1], norm=norm, stride=2)
        self.layer3 = _stage(block, stages[1], stages[2], norm=norm, stride=2)
        self.conv2 = nn.Conv2d(stages[-1], outputs, 1)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        x = self._part(self._stem, self.norm1, image)
        for block in (*self.layer1, *self.layer2, *self.layer3):
            x = self._part(block, block, x)
        return self.conv2(x)

    def _stem(self, image: Tensor) -> Tensor:
        return self.norm1(self.conv1(image)).relu_()

    def _part(self, part: Callable[[Tensor], Tensor], norms: nn.Module, x: Tensor) -> Tensor:
        if not (self.recompute and self.training and torch.is_grad_enabled()):
            return part(x)
        contexts = partial(_first_and_second_time, norms)
        return checkpoint(part, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)


def _first_and_second_time(norms: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _batches_uncounted(norms)


@contextmanager
def _batches_uncounted(norms: nn.Module) -> Iterator[None]:
    """Inside, batch norms leave their running statistics alone: a batch that is computed again counts once."""
    counting = [norm for norm in norms.modules() if isinstance(norm, nn.BatchNorm2d) and norm.training]
    momenta = [norm.momentum for norm in counting]
    for norm in counting:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(counting, momenta, strict=True):
            norm.momentum = momentum
            norm.get_buffer("num_batches_tracked").sub_(1)
