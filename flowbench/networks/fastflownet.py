"""FastFlowNet (Kong, Shen and Yang, ICRA 2021, arXiv 2103.04524)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from flowbench.networks.base import FlowNetwork
from flowbench.ops.local_correlation import local_correlation
from flowbench.ops.precision import at_least_float32, full_precision
from flowbench.ops.sampling import warp
from flowbench.structures import FlowOutput

# The centre dense dilated pattern: rows further from the centre have sparser columns.
_COLUMNS = {
    0: (-4, -2, -1, 0, 1, 2, 4),
    1: (-3, -2, -1, 0, 1, 2, 3),
    2: (-4, -2, -1, 0, 1, 2, 4),
    3: (-3, -1, 1, 3),
    4: (-4, -2, 0, 2, 4),
}
DISPLACEMENTS = tuple((dy, dx) for dy in range(-4, 5) for dx in _COLUMNS[abs(dy)])
_SMALL = 1e-12  # keeps the length of a vector of zeros


class FastFlowNet(FlowNetwork):
    """image1, image2 (B, 3, H, W) RGB in [0, 1] -> FlowOutput.

    H and W are multiples of 64. Flow is estimated from 1/64 to 1/4 resolution, each level warping the second image's
    features by the flow of the level above. In train mode `predictions` holds the flow of levels 2 to 6 (1/4 to 1/64
    resolution), in units of flow_unit pixels of the image.

    Args:
        groups: Groups of the decoders' middle convolutions, whose channels are shuffled after each.
        flow_unit: Pixels of the image that a predicted 1 stands for.
        unit_features: Whether features are scaled to length one at each pixel before they are correlated. The published
            weights were trained without it.
    """

    stride = 64

    def __init__(self, *, groups: int = 3, flow_unit: float = 20.0, unit_features: bool = False) -> None:
        super().__init__()
        self.flow_unit = flow_unit
        self.unit_features = unit_features
        self.pyramid = nn.ModuleList(
            [
                nn.Sequential(_conv(3, 16, stride=2), _conv(16, 16)),
                nn.Sequential(_conv(16, 32, stride=2), _conv(32, 32), _conv(32, 32)),
                nn.Sequential(_conv(32, 64, stride=2), _conv(64, 64), _conv(64, 64)),
            ]
        )
        widths = {2: 32, 3: 64, 4: 64, 5: 64, 6: 64}
        self.reduce = nn.ModuleDict({str(level): _conv(width, 32) for level, width in widths.items()})
        self.up = nn.ModuleDict(
            {str(level): nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1) for level in (3, 4, 5, 6)}
        )
        inputs = len(DISPLACEMENTS) + 32 + 2
        self.decoders = nn.ModuleDict({str(level): _Decoder(inputs, groups) for level in widths})
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.get_parameter("bias"))

    def normalise(self, image1: Tensor, image2: Tensor) -> tuple[Tensor, Tensor]:
        """The images minus the mean of each channel over both."""
        mean = torch.cat([image1, image2], dim=3).mean(dim=(2, 3), keepdim=True)
        return image1 - mean, image2 - mean

    def forward(self, image1: Tensor, image2: Tensor, reuse: Any = None, *, normalised: bool = False) -> FlowOutput:
        if not normalised:
            image1, image2 = self.normalise(image1, image2)
        features = self._features(image1, image2)
        flow = image1.new_zeros(image1.shape[0], 2, image1.shape[2] // 64, image1.shape[3] // 64)
        predictions: list[Tensor] = []
        for level in (6, 5, 4, 3, 2):
            first, second = features[level].tensor_split(2)
            if level < 6:
                with full_precision(flow.device):
                    flow = self.up[str(level + 1)](flow)
                second = warp(second, flow * (self.flow_unit / 2**level))
            flow = self._decode(level, first, second, flow).to(flow.dtype) + (flow if level < 6 else 0)
            predictions.insert(0, flow)
        full = self.flow_unit * F.interpolate(flow, scale_factor=4, mode="bilinear", align_corners=False)
        return FlowOutput(full, predictions if self.training else [])

    def _features(self, image1: Tensor, image2: Tensor) -> dict[int, Tensor]:
        """The features of each level, image2's behind image1's in the batch."""
        x = torch.cat([image1, image2]).contiguous(memory_format=torch.channels_last)
        features = {}
        for level, stage in enumerate(self.pyramid, start=1):
            x = features[level] = stage(x)
        for level in (4, 5, 6):
            x = features[level] = F.avg_pool2d(x, 2)
        return features

    def _decode(self, level: int, first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
        reduced = self.reduce[str(level)](first)
        parts = self.correlation(first, second), reduced, flow
        # All of one layout, or the concatenation would be copied once more.
        inputs = [part.contiguous(memory_format=torch.channels_last) for part in parts]
        return self.decoders[str(level)](torch.cat(inputs, dim=1))

    def correlation(self, features1: Tensor, features2: Tensor) -> Tensor:
        """(B, C, h, w) twice -> (B, 53, h, w)."""
        if self.unit_features:
            features1, features2 = _unit(features1), _unit(features2)
        return local_correlation(features1, features2, DISPLACEMENTS)


def _unit(features: Tensor) -> Tensor:
    """Scaled at each pixel so that the mean over the channels of a product of two is the cosine of their angle."""
    squares = at_least_float32(features).square().sum(dim=1, keepdim=True)
    return features * ((squares + _SMALL).rsqrt() * features.shape[1] ** 0.5)


class _Decoder(nn.Module):
    """The shuffle block decoder: (B, inputs, H, W) -> flow (B, 2, H, W)."""

    def __init__(self, inputs: int, groups: int) -> None:
        super().__init__()
        self.expand = _conv(inputs, 96)
        self.mix = nn.ModuleList(_conv(96, 96, groups=groups) for _ in range(3))
        self.contract = nn.Sequential(_conv(96, 64), _conv(64, 32), nn.Conv2d(32, 2, 3, padding=1))
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        x = self.expand(x)
        for conv in self.mix:
            x = _shuffled(conv(x), self.groups)
        return self.contract(x)


def _shuffled(x: Tensor, groups: int) -> Tensor:
    """Channel g * n + j goes to j * groups + g; in channels-last memory, twice as fast as PyTorch's channel_shuffle."""
    return rearrange(rearrange(x, "b (g n) h w -> b h w (n g)", g=groups), "b h w c -> b c h w")


def _conv(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups), nn.LeakyReLU(0.1, inplace=True)
    )
