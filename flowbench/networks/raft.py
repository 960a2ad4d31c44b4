"""RAFT: recurrent all-pairs field transforms (Teed and Deng, ECCV 2020, arXiv 2003.12039).

A network is built from its parts; the builders `raft`, `raft_small` and `raft_h` own the sizes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flowbench.networks.encoders import BottleneckBlock, Encoder
from flowbench.networks.update import (
    ConvGRU,
    FlowHead,
    MaskHead,
    MotionEncoder,
    SepConvGRU,
    SmallMotionEncoder,
    UpdateBlock,
)
from flowbench.ops.correlation import CorrelationKind, build_correlation
from flowbench.ops.sampling import coordinate_grid, project_forward
from flowbench.ops.upsampling import upsample_bilinear, upsample_convex
from flowbench.structures import FlowOutput


class RAFT(nn.Module):
    """image1, image2 (B, 3, H, W) in [0, 1] -> FlowOutput.

    H and W are multiples of 8 and at least 64. In train mode `predictions` holds the flow after each of `iterations`
    updates, full resolution; in eval mode only the flow after `eval_iterations` is brought to full resolution. `reuse` is
    the flow at 1/8 resolution; given to the next pair of a video, it is carried forward as that pair's first guess.
    """

    stride = 8

    def __init__(
        self,
        *,
        fnet: Encoder,
        cnet: Encoder,
        update_block: UpdateBlock,
        mask: MaskHead | None,
        hidden: int,
        levels: int,
        radius: int,
        correlation: CorrelationKind,
        iterations: int,
        eval_iterations: int,
    ) -> None:
        super().__init__()
        self.fnet = fnet
        self.cnet = cnet
        self.update_block = update_block
        self.mask = mask
        self.hidden = hidden
        self.levels = levels
        self.radius = radius
        self.correlation = correlation
        self.iterations = iterations
        self.eval_iterations = eval_iterations

    def forward(self, image1: Tensor, image2: Tensor, reuse: Tensor | None = None) -> FlowOutput:
        images = (2 * torch.cat([image1, image2]) - 1).contiguous(memory_format=torch.channels_last)
        features1, features2 = self.fnet(images).chunk(2)
        correlation = build_correlation(
            features1, features2, levels=self.levels, radius=self.radius, kind=self.correlation
        )
        context = self.cnet(images[: image1.shape[0]])
        hidden, context = context.split([self.hidden, context.shape[1] - self.hidden], dim=1)
        hidden, step = hidden.tanh(), self.update_block.prepare(context.relu())

        coords0 = coordinate_grid(image1.shape[0], *features1.shape[-2:], like=image1)
        coords1 = coords0 if reuse is None else coords0 + project_forward(reuse).to(coords0)
        predictions = []
        iterations = self.iterations if self.training else self.eval_iterations
        for _ in range(iterations):
            coords1 = coords1.detach()
            # In the layout of the features: one tensor in another makes every concatenation after it copy.
            flow = (coords1 - coords0).contiguous(memory_format=torch.channels_last)
            hidden, change = step(hidden, correlation.lookup(coords1), flow)
            coords1 = coords1 + change.to(coords1.dtype)
            if self.training:
                predictions.append(self._upsample(coords1 - coords0, hidden))
        flow = predictions[-1] if predictions else self._upsample(coords1 - coords0, hidden)
        steps = torch.full((image1.shape[0],), iterations, device=image1.device)
        return FlowOutput(flow, predictions, reuse=(coords1 - coords0).detach(), stats={"steps": steps})

    def _upsample(self, flow: Tensor, hidden: Tensor) -> Tensor:
        if self.mask is None:
            return upsample_bilinear(flow)
        return upsample_convex(flow, self.mask(hidden).to(flow.dtype))


def raft(*, correlation: CorrelationKind = "all_pairs", iterations: int = 12, eval_iterations: int = 32) -> RAFT:
    """RAFT, 5.26 M parameters."""
    return _full_size(128, 128, (256, 192), (128, 64), 128, 256, correlation, iterations, eval_iterations)


def raft_h(*, correlation: CorrelationKind = "all_pairs", iterations: int = 12, eval_iterations: int = 32) -> RAFT:
    """RAFT at the size of DEQ-Flow-H (arXiv 2204.08442, table 1), 13.42 M parameters.

    No code was published for it: DEQ-Flow-H's widths with RAFT's hidden state, which comes from the context encoder.
    """
    return _full_size(256, 256, (512, 384), (256, 128), 256, 512, correlation, iterations, eval_iterations)


def raft_small(*, correlation: CorrelationKind = "all_pairs", iterations: int = 12, eval_iterations: int = 32) -> RAFT:
    """RAFT small, 0.99 M parameters."""
    levels, radius, hidden, context = 4, 3, 96, 64
    narrow = {"block": BottleneckBlock, "stem": 32, "stages": (32, 64, 96)}
    return RAFT(
        fnet=Encoder(outputs=128, norm="instance", **narrow),
        cnet=Encoder(outputs=hidden + context, norm="none", **narrow),
        update_block=UpdateBlock(
            encoder=SmallMotionEncoder(windows=levels * (2 * radius + 1) ** 2),
            gru=ConvGRU(hidden=hidden, inputs=context + 82),
            flow_head=FlowHead(hidden=hidden, width=128),
        ),
        mask=None,
        hidden=hidden,
        levels=levels,
        radius=radius,
        correlation=correlation,
        iterations=iterations,
        eval_iterations=eval_iterations,
    )


def _full_size(
    hidden: int,
    context: int,
    corr: tuple[int, int],
    flow: tuple[int, int],
    motion: int,
    head: int,
    correlation: CorrelationKind,
    iterations: int,
    eval_iterations: int,
) -> RAFT:
    levels, radius = 4, 4
    windows = levels * (2 * radius + 1) ** 2
    return RAFT(
        fnet=Encoder(outputs=256, norm="instance"),
        cnet=Encoder(outputs=hidden + context, norm="batch"),
        update_block=UpdateBlock(
            encoder=MotionEncoder(windows=windows, corr=corr, flow=flow, outputs=motion),
            gru=SepConvGRU(hidden=hidden, inputs=context + motion),
            flow_head=FlowHead(hidden=hidden, width=head),
        ),
        mask=MaskHead(hidden=hidden),
        hidden=hidden,
        levels=levels,
        radius=radius,
        correlation=correlation,
        iterations=iterations,
        eval_iterations=eval_iterations,
    )
