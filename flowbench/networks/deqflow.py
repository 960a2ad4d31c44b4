"""DEQ-Flow: flow as the fixed point of RAFT's update (Bai et al., CVPR 2022, arXiv 2204.08442)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from flowbench.deq import DEQ, Solution, SolverMap, spectral_radius
from flowbench.deq.normalisation import normalise_weights, weights_computed_once
from flowbench.networks.attention import Aggregator, Attention
from flowbench.networks.base import IterativeNetwork, one_of, whole_number
from flowbench.networks.encoders import Encoder
from flowbench.networks.refinement import Refinement, RefinementNetwork, RefinementState
from flowbench.networks.update import FlowHead, MaskHead, MotionEncoder, SepConvGRU, UpdateBlock
from flowbench.ops.correlation import CorrelationKind
from flowbench.ops.sampling import project_forward
from flowbench.structures import FlowOutput

Warm = Literal["state", "flow"]


@dataclass(frozen=True)
class Equilibrium:
    """Start of the next pair of a video: hidden (B, hidden, H/8, W/8), flow (B, 2, H/8, W/8) in pixels of that size."""

    hidden: Tensor
    flow: Tensor


class DEQFlow(RefinementNetwork, IterativeNetwork):
    """image1, image2 (B, 3, H, W) in [0, 1] -> FlowOutput.

    H and W are multiples of 8 and at least 64. The state is (hidden, coords), coords in absolute pixels at 1/8 resolution,
    so that the coordinates outweigh the hidden part in a relative residual over both. In train mode `predictions` holds the
    flow of each supervised state; in eval mode the flow is that of the state that the solver found. `reuse` is the
    Equilibrium of a pair; the next pair starts from its flow, carried forward, and with warm="state" from its hidden state,
    too. stats: those of flowbench.deq.SolverStats.

    Args:
        deq: The solver, its gradient, and which states are supervised.
        attention: Global motion aggregation's, from the context; None without it.
        through_coords: Whether gradient flows through the lookup, too.
        warm: What the next pair of a video starts from: "state" is hidden state and flow, "flow" the flow alone.
        fnet, cnet, update_block, mask, levels, radius, correlation: As for RAFT; `cnet` gives the context alone,
            (B, hidden, H/8, W/8).

    Raises FlowBenchError for an unknown `warm` or correlation.
    """

    warm_startable = True

    def __init__(
        self,
        *,
        deq: DEQ,
        attention: Attention | None,
        through_coords: bool,
        warm: Warm,
        fnet: Encoder,
        cnet: Encoder,
        update_block: UpdateBlock,
        mask: MaskHead,
        levels: int,
        radius: int,
        correlation: CorrelationKind,
    ) -> None:
        one_of("warm", warm, get_args(Warm))
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
        self.deq = deq
        self.attention = attention
        self.through_coords = through_coords
        self.warm = warm

    @property
    def iterations(self) -> int:
        """The solver's step limit in training."""
        return self.deq.solver.max_steps

    @iterations.setter
    def iterations(self, steps: int) -> None:
        self.deq = replace(self.deq, solver=self.deq.solver.with_steps(whole_number("iterations", steps)))

    @property
    def eval_iterations(self) -> int:
        """The solver's step limit in eval mode."""
        return self.deq.eval_limit

    @eval_iterations.setter
    def eval_iterations(self, steps: int) -> None:
        self.deq = replace(self.deq, eval_steps=whole_number("eval_iterations", steps))

    def forward(
        self, image1: Tensor, image2: Tensor, reuse: Equilibrium | None = None, *, normalised: bool = False
    ) -> FlowOutput:
        with weights_computed_once(self.update_block):
            refine, start = self.problem(image1, image2, reuse, normalised=normalised)
            solver_map = self.solver_map(refine, reuse)
            if self.training:
                return self._train(refine, start, solver_map)
            solution = self.deq.solve(refine, start, solver_map=solver_map)
        return self._estimate(refine, solution, solver_map)

    def spectral_radius(self, image1: Tensor, image2: Tensor, *, steps: int = 75) -> Tensor:
        """The spectral radius of the map's Jacobian at the state that the solver finds.

        Args:
            image1: (B, 3, H, W) RGB in [0, 1]; H and W are multiples of `stride`.
            image2: As image1.
            steps: Of the power iteration.

        Returns (B,).
        """
        # Copies, because tensors that inference mode made take no gradient.
        with torch.inference_mode(False), torch.no_grad(), weights_computed_once(self.update_block):
            refine, start = self.problem(image1.clone(), image2.clone())
            found = self.solve(refine, start)
            return spectral_radius(replace(refine, through_coords=True), found.z, steps=steps)

    def problem(
        self, image1: Tensor, image2: Tensor, reuse: Equilibrium | None = None, *, normalised: bool = False
    ) -> tuple[Refinement, RefinementState]:
        """The map whose fixed point is sought, and the state where the search starts.

        Args:
            image1, image2, reuse, normalised: see `forward`.
        """
        if not normalised:
            image1, image2 = self.normalise(image1, image2)
        correlation, context, grid = self.encode(image1, image2)
        context = context.relu()
        attention = None if self.attention is None else self.attention(context)
        refine = Refinement(correlation, self.update_block.prepare(context, attention), grid, self.through_coords)
        # As many channels as the context, and the dtype of mixed precision.
        hidden = torch.zeros_like(context)
        if reuse is None:
            return refine, (hidden, grid)
        hidden = reuse.hidden.to(hidden) if self.warm == "state" else hidden
        return refine, (hidden, grid + project_forward(reuse.flow).to(grid))

    def solver_map(self, refine: Refinement, reuse: Equilibrium | None = None) -> SolverMap | None:
        """The map that the solver evaluates instead of `refine`; None for `refine` itself."""
        return None

    def solve(
        self, refine: Refinement, start: RefinementState, states_at: Sequence[int] = ()
    ) -> Solution[RefinementState]:
        """The fixed point, without gradient.

        Args:
            refine, start: see `problem`.
            states_at: see `DEQ.solve`.
        """
        return self.deq.solve(refine, start, states_at, solver_map=self.solver_map(refine))

    def _estimate(
        self, refine: Refinement, solution: Solution[RefinementState], solver_map: SolverMap | None
    ) -> FlowOutput:
        flow, reuse = self.decode(solution.z, refine.grid), self._equilibrium(solution.z, refine.grid)
        return FlowOutput(flow, reuse=reuse, stats=solution.stats.as_dict())

    def _train(self, refine: Refinement, start: RefinementState, solver_map: SolverMap | None) -> FlowOutput:
        full_gradient = replace(refine, through_coords=True)
        found = self.deq.forward_train(refine, start, f_with_full_gradient=full_gradient, solver_map=solver_map)
        predictions = [self.decode(state, refine.grid) for state in found.states]
        if not any(part.requires_grad for state in found.states for part in state):
            # All samples diverged. Other processes, whose samples did not, wait for this one's part of every gradient.
            predictions[-1] = predictions[-1] + 0.0 * sum(parameter.sum() for parameter in self.parameters())
        reuse = self._equilibrium(found.states[-1], refine.grid)
        return FlowOutput(predictions[-1], predictions, reuse, found.summary.as_dict(), found.regularisation)

    def _equilibrium(self, state: RefinementState, grid: Tensor) -> Equilibrium:
        hidden, coords = state
        return Equilibrium(hidden.detach(), (coords - grid).detach())


# size: hidden and context, correlation convolutions, flow convolutions, motion features.
_SIZES = {
    "tiny": (32, (64, 48), (32, 16), 32),
    "b": (128, (256, 192), (128, 64), 128),
    "l": (192, (384, 288), (192, 96), 192),
    "h": (256, (512, 384), (256, 128), 256),
    "g": (384, (640, 480), (320, 160), 320),
}


def size_of(hidden: int) -> str | None:
    """The name of the size with so many channels of the hidden state."""
    return next((size for size, (channels, *_) in _SIZES.items() if channels == hidden), None)


def deqflow(
    *,
    size: Literal["tiny", "b", "l", "h", "g"],
    deq: DEQ,
    gma: bool = False,
    weight_norm: bool = True,
    head: int | None = None,
    dropout: float = 0.0,
    through_coords: bool = False,
    warm: Warm = "state",
    correlation: CorrelationKind = "all_pairs",
    recompute_encoders: bool = False,
    assemble: Callable[..., DEQFlow] = DEQFlow,
) -> DEQFlow:
    """DEQ-Flow of one of the published sizes.

    Args:
        size: tiny 2.49 M, b 5.24 M, l 8.67 M, h 13.39 M, g 23.25 M parameters.
        deq: The solver, its gradient, and which states are supervised.
        gma: Whether there is global motion aggregation.
        weight_norm: Whether every convolution of the update block is weight-normalised.
        head: Channels of the flow head; None for twice the motion features (v1 of the published code: at most 256).
        dropout: Share of channels that the motion encoder drops in training, the same ones at every step.
        through_coords: Whether gradient flows through the lookup, too.
        warm: What the next pair of a video starts from: "state" is hidden state and flow, "flow" the flow alone.
        correlation: "all_pairs" or "on_demand", see `flowbench.ops.correlation`.
        recompute_encoders: Less memory in training, for one more forward pass of the encoders.
        assemble: What makes the network of its parts.

    Raises FlowBenchError for an unknown size, `warm` or correlation.
    """
    one_of("size", size, _SIZES)
    hidden, corr, flow, motion = _SIZES[size]
    levels, radius = 4, 4
    update_block = UpdateBlock(
        encoder=MotionEncoder(
            windows=levels * (2 * radius + 1) ** 2, corr=corr, flow=flow, outputs=motion, dropout=dropout
        ),
        gru=SepConvGRU(hidden=hidden, inputs=hidden + motion * (2 if gma else 1)),
        flow_head=FlowHead(hidden=hidden, width=2 * motion if head is None else head),
        gma=Aggregator(motion=motion) if gma else None,
    )
    return assemble(
        deq=deq,
        attention=Attention(context=hidden) if gma else None,
        through_coords=through_coords,
        warm=warm,
        fnet=Encoder(outputs=64 if size == "tiny" else 256, norm="instance", recompute=recompute_encoders),
        cnet=Encoder(outputs=hidden, norm="batch", recompute=recompute_encoders),
        update_block=normalise_weights(update_block) if weight_norm else update_block,
        mask=MaskHead(hidden=hidden),
        levels=levels,
        radius=radius,
        correlation=correlation,
    )
