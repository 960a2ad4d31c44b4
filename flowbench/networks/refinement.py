"""The parts that RAFT and DEQ-Flow share: features, correlation, and one map of (hidden state, coordinates) to itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from flowbench.networks.encoders import Encoder
from flowbench.networks.update import Convolve, MaskHead, UpdateBlock, UpdateStep, dense
from flowbench.ops.correlation import Correlation, CorrelationKind, build_correlation
from flowbench.ops.sampling import coordinate_grid
from flowbench.ops.upsampling import upsample_bilinear, upsample_convex

# The hidden state (B, hidden, H/8, W/8) and the coordinates (B, 2, H/8, W/8) in the second image, in pixels of that size.
RefinementState = tuple[Tensor, Tensor]
Lookup = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Refinement:
    """(hidden, coords) -> (hidden, coords) for one batch of pairs: looks the correlation up and updates.

    Attributes:
        correlation: of the pairs' features.
        update: the update block, prepared for the pairs' context.
        grid: (B, 2, H/8, W/8), the coordinates of no motion.
        through_coords: whether gradient flows through the lookup and the flow that the update sees, rather than through the
            sum of the changes alone.
    """

    correlation: Correlation
    update: UpdateStep
    grid: Tensor
    through_coords: bool = False

    def __call__(
        self, state: RefinementState, /, *, lookup: Lookup | None = None, convolve: Convolve = dense
    ) -> RefinementState:
        """The next state.

        Args:
            state: hidden state and coordinates.
            lookup: coordinates (B, 2, H/8, W/8) -> correlation windows; None for the correlation's own.
            convolve: carries out the convolutions of the update.
        """
        hidden, coords = state
        coords = coords if self.through_coords else coords.detach()
        # In the memory layout of the features: concatenating tensors of two layouts would copy them.
        flow = (coords - self.grid).contiguous(memory_format=torch.channels_last)
        windows = (lookup or self.correlation.lookup)(coords)
        hidden, change = self.update(hidden, windows, flow, convolve)
        return hidden, coords + change.to(coords.dtype)

    def select(self, index: Tensor) -> Refinement:
        return replace(
            self,
            correlation=self.correlation.select(index),
            update=self.update.select(index),
            grid=self.grid[index],
        )


class RefinementNetwork(nn.Module):
    """The common parts of RAFT and DEQ-Flow. H and W are multiples of 8 and at least 64.

    Args:
        fnet, cnet, update_block, mask, levels, radius, correlation: see `flowbench.networks.raft.RAFT`.
    """

    stride = 8

    def __init__(
        self,
        *,
        fnet: Encoder,
        cnet: Encoder,
        update_block: UpdateBlock,
        mask: MaskHead | None,
        levels: int,
        radius: int,
        correlation: CorrelationKind,
    ) -> None:
        super().__init__()
        self.fnet = fnet
        self.cnet = cnet
        self.update_block = update_block
        self.mask = mask
        self.levels = levels
        self.radius = radius
        self.correlation = correlation

    def normalise(self, image1: Tensor, image2: Tensor) -> tuple[Tensor, Tensor]:
        """The images with values in [-1, 1]."""
        return 2 * image1 - 1, 2 * image2 - 1

    def encode(self, image1: Tensor, image2: Tensor) -> tuple[Correlation, Tensor, Tensor]:
        """The correlation of normalised images, what the context encoder gives (B, C, H/8, W/8), and the coordinates of
        no motion."""
        images = torch.cat([image1, image2]).contiguous(memory_format=torch.channels_last)
        features1, features2 = self.fnet(images).tensor_split(2)
        correlation = build_correlation(
            features1, features2, levels=self.levels, radius=self.radius, kind=self.correlation
        )
        context = self.cnet(images[: image1.shape[0]])
        return correlation, context, coordinate_grid(image1.shape[0], *features1.shape[-2:], like=image1)

    def decode(self, state: RefinementState, grid: Tensor) -> Tensor:
        """The flow at full resolution, (B, 2, H, W)."""
        hidden, coords = state
        if self.mask is None:
            return upsample_bilinear(coords - grid)
        return upsample_convex(coords - grid, self.mask(hidden).to(coords.dtype))
