"""DeltaDEQ: DEQ-Flow whose solver propagates only changes (NeurIPS 2024, "Exploiting Heterogeneous Convergence ...")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from flowbench.deq import FixedPoint, Solution, SolverMap, StopReason
from flowbench.deq.normalisation import weights_computed_once
from flowbench.networks.delta_counter import MacCounter
from flowbench.networks.delta_operators import DeltaConvolve, DeltaLayers, DeltaMemories, PropagationCount, WorkCount
from flowbench.networks.deqflow import DEQFlow, Equilibrium, deqflow
from flowbench.networks.refinement import Refinement, RefinementState
from flowbench.ops.delta.convolution import Delta, DeltaMemory
from flowbench.ops.delta.counting import Work
from flowbench.ops.delta.lookup import DeltaLookup
from flowbench.structures import FlowOutput

# As _THRESHOLD_SCALES of delta_operators, for the coordinates of the lookup.
_LOOKUP_THRESHOLD_SCALE = 2.0


@dataclass(frozen=True)
class DeltaEquilibrium(Equilibrium):
    """memories: of the layers, by name, for the next pair of a video."""

    memories: Mapping[str, DeltaMemory] = field(default_factory=dict)


@dataclass(frozen=True)
class DeltaRefinement:
    """(state, memories) -> (state, memories): a refinement whose convolutions and lookup propagate only changes.

    The result depends on the arguments alone. The given memories are changed in place.

    Attributes:
        refine: the dense map that this one computes.
        layers: the delta layers.
        delta: the rule.
        lookup: under the pixel rule; None for the correlation's own.
        indices: (B,), the samples' indices in the full batch of the solve.
        make_operator: makes the operator that convolves in one evaluation, from this map and the memories of its layers.
    """

    refine: Refinement
    layers: DeltaLayers
    delta: Delta
    lookup: DeltaLookup | None
    indices: Tensor
    make_operator: MakeOperator

    @classmethod
    def of(cls, refine: Refinement, delta: Delta, *, stride: int, make_operator: MakeOperator) -> DeltaRefinement:
        """A refinement under a rule.

        Args:
            refine: the dense map.
            delta: the rule.
            stride: pixels of the image per pixel of the state.
            make_operator: see the attributes.
        """
        context = refine.update.context
        unit = _LOOKUP_THRESHOLD_SCALE / stride if delta.scale == "relative" else 1.0
        return cls(
            refine=refine,
            layers=DeltaLayers.of(refine.update, context.dtype, flow_unit=1 / stride),
            delta=delta,
            lookup=DeltaLookup(refine.correlation, delta, unit) if delta.rule == "pixel" else None,
            indices=torch.arange(context.shape[0], device=context.device),
            make_operator=make_operator,
        )

    def __call__(self, state: RefinementState, memories: DeltaMemories, /) -> tuple[RefinementState, DeltaMemories]:
        following = memories.take()
        operator = self.make_operator(self, following.layers)
        if self.lookup is None:
            return self.refine(state, convolve=operator), following
        delta_lookup = self.lookup

        def lookup(coords: Tensor) -> Tensor:
            windows, following.lookup = delta_lookup(coords, following.lookup)
            return windows

        return self.refine(state, lookup=lookup, convolve=operator), following

    def select(self, index: Tensor) -> DeltaRefinement:
        refine = self.refine.select(index)
        lookup = None if self.lookup is None else replace(self.lookup, correlation=refine.correlation)
        return replace(self, refine=refine, lookup=lookup, indices=self.indices[index])


MakeOperator = Callable[[DeltaRefinement, dict[str, DeltaMemory]], DeltaConvolve]


@dataclass(frozen=True)
class CountedMap(SolverMap):
    """A map with the MAC counter of its solve."""

    counter: MacCounter


class DeltaDEQ(DEQFlow):
    """DEQ-Flow with a delta rule in its solves. The parameters are DEQ-Flow's, so that its checkpoints fit.

    In training the solver follows the rule, and the gradient is that of the dense update. stats: DEQ-Flow's and
    `MacCounter.stats`.

    Args:
        delta: the rule by which the convolutions of the update propagate changes; None for DEQ-Flow itself.
        count: whether multiplications are counted element by element, which takes time.
        across_frames: whether the memories are passed on to the next pair of a video, or start empty.
        parts: DEQFlow's arguments.
    """

    def __init__(self, *, delta: Delta | None, count: bool, across_frames: bool, **parts: Any) -> None:
        super().__init__(**parts)
        if delta is not None and not isinstance(self.deq.solver, FixedPoint):
            raise ValueError(
                f"solver={type(self.deq.solver).__name__}: its steps mix states of the past, but a delta update follows "
                "one state; choose the solver damped or fixed_point."
            )
        self.delta = delta
        self.count = count
        self.across_frames = across_frames

    def solver_map(self, refine: Refinement, reuse: Equilibrium | None = None) -> SolverMap | None:
        """The map under the rule, with the memories that the solve starts from."""
        if self.delta is None:
            return None
        kept = reuse.memories if self.across_frames and isinstance(reuse, DeltaEquilibrium) else {}
        memories = DeltaMemories({name: memory.clone() for name, memory in kept.items()})
        return self._counted(refine, self.delta, memories, by_element=self.count)

    @torch.no_grad()
    def work(self, image1: Tensor, image2: Tensor) -> list[Mapping[str, Work]]:
        """The work of the update's layers, by their parameters' names, at each step of the solve of a batch of pairs."""
        if self.delta is None:
            raise ValueError("delta=None: without a rule there is no work to count.")
        with weights_computed_once(self.update_block):
            refine, start = self.problem(image1, image2)
            counted = self._counted(refine, self.delta, DeltaMemories(), by_element=True)
            self.deq.solve(refine, start, solver_map=counted)
        return counted.counter.work

    def _counted(self, refine: Refinement, delta: Delta, memories: DeltaMemories, *, by_element: bool) -> CountedMap:
        counter = MacCounter(refine.grid.shape[0])

        def operator(f: DeltaRefinement, memories: dict[str, DeltaMemory]) -> DeltaConvolve:
            if by_element:
                step = f.refine.update
                return WorkCount(f.layers, f.delta, memories, counter=counter, indices=f.indices, step=step)
            return PropagationCount(f.layers, f.delta, memories, counter=counter, indices=f.indices)

        f = DeltaRefinement.of(refine, delta, stride=self.stride, make_operator=operator)
        return CountedMap(f, memories, counter)

    def _estimate(
        self, refine: Refinement, solution: Solution[RefinementState], solver_map: SolverMap | None
    ) -> FlowOutput:
        output = super()._estimate(refine, solution, solver_map)
        if not isinstance(solver_map, CountedMap):
            return output
        output.stats |= solver_map.counter.stats(solution.stats.steps)
        # The memories of diverged samples may not be finite, though the flow is of the last finite state.
        diverged = bool((solution.stats.reason == StopReason.DIVERGED).any())
        if self.across_frames and solution.memory is not None and not diverged:
            output.reuse = DeltaEquilibrium(output.reuse.hidden, output.reuse.flow, solution.memory.layers)
        return output


def deltadeq(*, delta: Delta, count: bool = False, across_frames: bool = False, **settings: Any) -> DEQFlow:
    """DeltaDEQ in one of DEQ-Flow's sizes.

    Args:
        delta, count, across_frames: see DeltaDEQ.
        settings: those of `deqflow`, which gives the sizes.
    """
    return deqflow(**settings, assemble=partial(DeltaDEQ, delta=delta, count=count, across_frames=across_frames))
