"""Light Flow (Zhu et al., "Towards High Performance Video Object Detection for Mobiles", arXiv 1804.05830)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowbench.errors import FlowBenchError
from flowbench.networks.base import FlowNetwork
from flowbench.ops.precision import full_precision
from flowbench.structures import FlowOutput

# Of leaky ReLUs, and the mean RGB that is subtracted from images in [0, 1]: both as in the public code.
SLOPE = 0.1
MEAN = (0.411, 0.432, 0.45)
ENCODER = ((32,), (64,), (128,), (256, 256), (512, 512), (1024, 1024))
DECODER = (256, 128, 64, 32, 16)


class LightFlow(FlowNetwork):
    """image1, image2 (B, 3, H, W) RGB in [0, 1] -> FlowOutput.

    H and W are multiples of 64. Depthwise separable convolutions down to 1/64 resolution and, with skips, up to 1/4; each of
    the five decoded resolutions predicts the flow, and the five are averaged. In train mode `predictions` holds this average
    alone, at 1/4 resolution, in units of flow_unit pixels of the image. Batch norm needs two values per channel: in
    train mode a single pair must have more than 64 x 64 pixels.

    Args:
        width: Factor of the channels; the paper has 1.0, 0.75 and 0.5.
        predictor_activation: Whether the predictions, too, go through batch norm and leaky ReLU, as in the public code
            (McDo/LightFlowPytorch), which shrinks negative flow tenfold. With it there are 2,540,390, 1,442,690 and 653,406
            parameters, as published; without it 20 fewer.
        flow_unit: Pixels of the image that a predicted 1 stands for.
        batch_norm_momentum: Weight of the newest batch in the running statistics.
    """

    stride = 64

    mean: Tensor

    def __init__(
        self,
        *,
        width: float = 1.0,
        predictor_activation: bool = False,
        flow_unit: float = 20.0,
        batch_norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.flow_unit = flow_unit
        self.register_buffer("mean", torch.tensor(MEAN * 2).view(1, 6, 1, 1), persistent=False)
        encoder = [[int(channels * width) for channels in stage] for stage in ENCODER]
        decoder = [int(channels * width) for channels in DECODER]
        ends = [stage[-1] for stage in encoder]
        above = [6, *ends[:-1]]
        below = [ends[-1], *decoder[:-1]]
        skips = [0, *ends[-2:0:-1]]
        self.encoder = nn.ModuleList(_stage(*channels) for channels in zip(above, encoder, strict=True))
        self.decoder = nn.ModuleList(
            _separable(inputs + skip, outputs) for inputs, skip, outputs in zip(below, skips, decoder, strict=True)
        )
        self.predictors = nn.ModuleList(_separable(inputs, 2, activation=predictor_activation) for inputs in decoder)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
            elif isinstance(module, nn.BatchNorm2d):
                module.momentum = batch_norm_momentum

    def normalise(self, image1: Tensor, image2: Tensor) -> tuple[Tensor, Tensor]:
        """The images minus the mean colour that the public code subtracts."""
        mean1, mean2 = self.mean.chunk(2, dim=1)
        return image1 - mean1, image2 - mean2

    def forward(self, image1: Tensor, image2: Tensor, reuse: Any = None, *, normalised: bool = False) -> FlowOutput:
        if not normalised:
            image1, image2 = self.normalise(image1, image2)
        self._check_batch(image1)
        x = torch.cat([image1, image2], dim=1)
        # Where batch norm computes its statistics, a CPU rounds more in channels-last memory: the gradients of the published
        # weights are then 3% off.
        layout = torch.contiguous_format if self.training else torch.channels_last
        decoded = self._decoded(x.contiguous(memory_format=layout))
        with full_precision(image1.device):
            flow = self._averaged([features.to(image1.dtype) for features in decoded])
            full = self.flow_unit * F.interpolate(flow, scale_factor=4, mode="bilinear", align_corners=False)
        return FlowOutput(full, [flow] if self.training else [])

    def _check_batch(self, image: Tensor) -> None:
        batch, _, height, width = image.shape
        if batch * height * width <= self.stride**2 and self.get_submodule("decoder.0.1").training:
            raise FlowBenchError(
                f"Training on {batch} pair of {height}x{width} pixels leaves batch norm one value per channel: raise "
                "the batch size or the image size, or freeze batch norm (freeze_batch_norm=true)."
            )

    def _decoded(self, x: Tensor) -> list[Tensor]:
        """The decoder's features from 1/64 to 1/4 resolution."""
        encoded = []
        for stage in self.encoder:
            x = stage(x)
            encoded.append(x)
        decoded = [self.decoder[0](x)]
        for block, skip in zip(self.decoder[1:], encoded[-2:0:-1], strict=True):
            decoded.append(block(torch.cat([_doubled(decoded[-1]), skip], dim=1)))
        return decoded

    def _averaged(self, decoded: list[Tensor]) -> Tensor:
        """The mean of the five predictions at the finest one's resolution."""
        predictions = [predict(features) for predict, features in zip(self.predictors, decoded, strict=True)]
        total = predictions[0]
        for prediction in predictions[1:]:
            total = _doubled(total) + prediction
        return total / len(predictions)


def _stage(inputs: int, outputs: list[int]) -> nn.Sequential:
    """Halves the resolution with its first block."""
    pairs = enumerate(pairwise([inputs, *outputs]))
    return nn.Sequential(*(_separable(*channels, stride=1 if number else 2) for number, channels in pairs))


def _separable(inputs: int, outputs: int, *, stride: int = 1, activation: bool = True) -> nn.Sequential:
    """A depthwise and a pointwise convolution; activation: whether what the pointwise one gives is activated, too."""
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False)
    pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
    return nn.Sequential(depthwise, *_activated(inputs), pointwise, *(_activated(outputs) if activation else ()))


def _activated(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE, inplace=True)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
