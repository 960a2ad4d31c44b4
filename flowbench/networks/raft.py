"""RAFT: recurrent all-pairs field transforms (Teed and Deng, ECCV 2020, arXiv 2003.12039).

A network is built from its parts; the builders `raft`, `raft_small` and `raft_h` own the sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import get_args

import torch
from torch import Tensor

from flowbench.networks.base import IterativeNetwork, one_of
from flowbench.networks.encoders import BottleneckBlock, Encoder
from flowbench.networks.refinement import Refinement, RefinementNetwork
from flowbench.networks.update import (
    ConvGRU,
    FlowHead,
    MaskHead,
    MotionEncoder,
    SepConvGRU,
    SmallMotionEncoder,
    UpdateBlock,
)
from flowbench.ops.correlation import CorrelationKind
from flowbench.ops.sampling import project_forward
from flowbench.structures import FlowOutput


class RAFT(RefinementNetwork, IterativeNetwork):
    """image1, image2 (B, 3, H, W) in [0, 1] -> FlowOutput.

    H and W are multiples of 8 and at least 64. In train mode `predictions` holds the flow after each of `iterations`
    updates, full resolution; in eval mode only the flow after `eval_iterations` is brought to full resolution. `reuse` is
    the flow at 1/8 resolution; given to the next pair of a video, it is carried forward as that pair's first guess.

    Args:
        fnet: The features of an image, of which the correlation is made: (B, C, H/8, W/8).
        cnet: The first hidden state and the context, (B, hidden + context, H/8, W/8).
        update_block: The recurrent update.
        mask: The weights of the convex upsampling from the hidden state; None for bilinear upsampling.
        hidden: Channels of the hidden state.
        levels: Resolutions of the correlation pyramid.
        radius: Reach of a lookup's window on each level, pixels of that level; a window has (2 * radius + 1)^2 values.
        correlation: "all_pairs" or "on_demand", see `flowbench.ops.correlation`.
        iterations: Updates in train mode.
        eval_iterations: Updates in eval mode.

    Raises FlowBenchError for numbers of updates below one and for an unknown correlation.
    """

    warm_startable = True

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
        one_of("correlation", correlation, get_args(CorrelationKind))
        super().__init__(
            fnet=fnet,
            cnet=cnet,
            update_block=update_block,
            mask=mask,
            levels=levels,
            radius=radius,
            correlation=correlation,
        )
        self.hidden = hidden
        self.iterations = iterations
        self.eval_iterations = eval_iterations

    def forward(
        self, image1: Tensor, image2: Tensor, reuse: Tensor | None = None, *, normalised: bool = False
    ) -> FlowOutput:
        if not normalised:
            image1, image2 = self.normalise(image1, image2)
        correlation, context, grid = self.encode(image1, image2)
        hidden, context = context.split([self.hidden, context.shape[1] - self.hidden], dim=1)
        refine = Refinement(correlation, self.update_block.prepare(context.relu()), grid)

        state = hidden.tanh(), grid if reuse is None else grid + project_forward(reuse).to(grid)
        predictions = []
        iterations = self.iterations if self.training else self.eval_iterations
        for _ in range(iterations):
            state = refine(state)
            if self.training:
                predictions.append(self.decode(state, grid))
        flow = predictions[-1] if predictions else self.decode(state, grid)
        steps = torch.full((image1.shape[0],), iterations, device=image1.device)
        return FlowOutput(flow, predictions, reuse=(state[1] - grid).detach(), stats={"steps": steps})


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    """Channels of a size: of the motion encoder's convolutions (corr, flow) and its result (motion), and of the flow head."""

    hidden: int
    context: int
    corr: tuple[int, int]
    flow: tuple[int, int]
    motion: int
    head: int


_RAFT = _Sizes(hidden=128, context=128, corr=(256, 192), flow=(128, 64), motion=128, head=256)
_RAFT_H = _Sizes(hidden=256, context=256, corr=(512, 384), flow=(256, 128), motion=256, head=512)


def raft(
    *,
    correlation: CorrelationKind = "all_pairs",
    iterations: int = 12,
    eval_iterations: int = 32,
    recompute_encoders: bool = False,
) -> RAFT:
    """RAFT, 5.26 M parameters.

    Args:
        correlation: "all_pairs" or "on_demand", see `flowbench.ops.correlation`.
        iterations: Updates in train mode.
        eval_iterations: Updates in eval mode.
        recompute_encoders: Less memory in training, for one more forward pass of the encoders.

    Raises FlowBenchError for numbers of updates below one and for an unknown correlation.
    """
    return _full_size(_RAFT, correlation, iterations, eval_iterations, recompute_encoders)


def raft_h(
    *,
    correlation: CorrelationKind = "all_pairs",
    iterations: int = 12,
    eval_iterations: int = 32,
    recompute_encoders: bool = False,
) -> RAFT:
    """RAFT at the size of DEQ-Flow-H (arXiv 2204.08442, table 1), 13.42 M parameters.

    No code was published for it: DEQ-Flow-H's widths with RAFT's hidden state, which comes from the context encoder.

    Args:
        correlation: "all_pairs" or "on_demand", see `flowbench.ops.correlation`.
        iterations: Updates in train mode.
        eval_iterations: Updates in eval mode.
        recompute_encoders: Less memory in training, for one more forward pass of the encoders.

    Raises FlowBenchError for numbers of updates below one and for an unknown correlation.
    """
    return _full_size(_RAFT_H, correlation, iterations, eval_iterations, recompute_encoders)


def raft_small(
    *,
    correlation: CorrelationKind = "all_pairs",
    iterations: int = 12,
    eval_iterations: int = 32,
    recompute_encoders: bool = False,
) -> RAFT:
    """RAFT small, 0.99 M parameters.

    Args:
        correlation: "all_pairs" or "on_demand", see `flowbench.ops.correlation`.
        iterations: Updates in train mode.
        eval_iterations: Updates in eval mode.
        recompute_encoders: Less memory in training, for one more forward pass of the encoders.

    Raises FlowBenchError for numbers of updates below one and for an unknown correlation.
    """
    levels, radius, hidden, context = 4, 3, 96, 64
    encoder = partial(Encoder, block=BottleneckBlock, stem=32, stages=(32, 64, 96), recompute=recompute_encoders)
    return RAFT(
        fnet=encoder(outputs=128, norm="instance"),
        cnet=encoder(outputs=hidden + context, norm="none"),
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
    sizes: _Sizes, correlation: CorrelationKind, iterations: int, eval_iterations: int, recompute: bool
) -> RAFT:
    levels, radius = 4, 4
    windows = levels * (2 * radius + 1) ** 2
    return RAFT(
        fnet=Encoder(outputs=256, norm="instance", recompute=recompute),
        cnet=Encoder(outputs=sizes.hidden + sizes.context, norm="batch", recompute=recompute),
        update_block=UpdateBlock(
            encoder=MotionEncoder(windows=windows, corr=sizes.corr, flow=sizes.flow, outputs=sizes.motion),
            gru=SepConvGRU(hidden=sizes.hidden, inputs=sizes.context + sizes.motion),
            flow_head=FlowHead(hidden=sizes.hidden, width=sizes.head),
        ),
        mask=MaskHead(hidden=sizes.hidden),
        hidden=sizes.hidden,
        levels=levels,
        radius=radius,
        correlation=correlation,
        iterations=iterations,
        eval_iterations=eval_iterations,
    )
