"""DeltaDEQ: DEQ-Flow whose solver propagates changes alone (NeurIPS 2024, "Exploiting Heterogeneous Convergence ...")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from flowbench.deq import FixedPoint, Solution, State, StopReason
from flowbench.deq.normalisation import weights_computed_once
from flowbench.networks.delta_ledger import LayerWork, Ledger
from flowbench.networks.deqflow import DEQFlow, Equilibrium, deqflow
from flowbench.networks.refinement import Refinement
from flowbench.networks.update import GatedPass, UpdateStep
from flowbench.ops.activations import tanh
from flowbench.ops.delta import Delta, DeltaConv, DeltaMemory
from flowbench.ops.delta_counting import Work, dense_macs, propagated_macs
from flowbench.ops.delta_lookup import DeltaLookup
from flowbench.structures import FlowOutput

# How much larger than another layer's a relative threshold may be at equal error, by factors of two: docs/results.md has
# what was tried. A gate's logistic function passes on a quarter of a change at most; the flow head's goes on to the flow.
_LENIENCE = {"encoder.convf2": 2.0, "encoder.conv": 0.5, "gru.gates1": 8.0, "gru.gates2": 8.0, "flow_head.conv1": 0.25}
_LENIENCE_OF_LOOKUP = 2.0


@dataclass(frozen=True)
class DeltaEquilibrium(Equilibrium):
    """memories: of the layers, by name, for the next pair of a video."""

    memories: Mapping[str, DeltaMemory] = field(default_factory=dict)


class DeltaDEQ(DEQFlow):
    """A DEQ-Flow, with its parameters, whose checkpoints it takes; only its solves differ.

    delta: how the convolutions of the update propagate changes; None: they do not, and it is DEQ-Flow. count: whether
    their multiplications are counted element by element, which takes time. across_frames: whether the memories go on to the
    next pair of a video, or start fresh. In training the solver follows the rule, and the gradient is that of the dense
    update. stats: DEQ-Flow's and `Ledger.stats`.
    """

    def __init__(self, *, delta: Delta | None, count: bool, across_frames: bool, **parts: Any) -> None:
        super().__init__(**parts)
        if delta is not None and not isinstance(self.deq.solver, FixedPoint):
            raise ValueError(
                f"solver={type(self.deq.solver).__name__}: its steps mix states of the past, but a delta update follows "
                "one state; choose model/solver=damped or model/solver=fixed_point."
            )
        self.delta = delta
        self.count = count
        self.across_frames = across_frames

    def prepare(self, context: Tensor, attention: Tensor | None, reuse: Equilibrium | None) -> DeltaStep | UpdateStep:
        if self.delta is None:
            return super().prepare(context, attention, reuse)
        kept = reuse.memories if self.across_frames and isinstance(reuse, DeltaEquilibrium) else {}
        dense = super().prepare(context, attention, reuse)
        return DeltaStep(
            dense=dense,
            layers=delta_layers(dense, context.dtype, flow_unit=1 / self.stride),
            delta=self.delta,
            context=context.detach(),
            rows=torch.arange(context.shape[0], device=context.device),
            memories={name: memory.clone() for name, memory in kept.items()},
            ledger=Ledger(context.shape[0]),
            count=self.count,
        )

    def problem(
        self, image1: Tensor, image2: Tensor, reuse: Equilibrium | None = None, *, normalised: bool = False
    ) -> tuple[Refinement, State]:
        refine, start = super().problem(image1, image2, reuse, normalised=normalised)
        if self.delta is not None and self.delta.rule == "pixel":
            unit = _LENIENCE_OF_LOOKUP / self.stride if self.delta.scale == "relative" else 1.0
            refine = replace(refine, correlation=DeltaLookup(refine.correlation, self.delta, unit))
        return refine, start

    @torch.no_grad()
    def work(self, image1: Tensor, image2: Tensor) -> list[Mapping[str, Work]]:
        """The work of the update's layers, by their parameters' names, at each step of the solve of a batch of pairs."""
        with weights_computed_once(self.update_block):
            refine, start = self.problem(image1, image2)
            refine = replace(refine, update=replace(refine.update, count=True))
            self.deq.solve(refine, start)
        return refine.update.ledger.work

    def _estimate(self, refine: Refinement, solution: Solution) -> FlowOutput:
        output = super()._estimate(refine, solution)
        if self.delta is None:
            return output
        output.stats |= refine.update.ledger.stats(solution.stats.steps)
        # What diverged has left its mark on the memories, though the flow is of the last finite state.
        if self.across_frames and not (solution.stats.reason == StopReason.DIVERGED).any():
            output.reuse = DeltaEquilibrium(output.reuse.hidden, output.reuse.flow, refine.update.memories)
        return output


def delta_layers(step: UpdateStep, dtype: torch.dtype, *, flow_unit: float) -> dict[str, DeltaConv]:
    """All convolutions of the update but its last. Those of the recurrent unit act on [hidden, motion]."""
    encoder = step.block.encoder
    names = ("convc1", "convc2", "convf1", "convf2", "conv")
    layers = {f"encoder.{name}": DeltaConv.of(getattr(encoder, name), dtype) for name in names}
    for number, gated in enumerate(step.recurrent.passes, start=1):
        layers[f"gru.gates{number}"] = DeltaConv.from_weight(gated.gates_weight, None, gated.padding)
        layers[f"gru.convq{number}"] = DeltaConv.from_weight(gated.candidate_weight, None, gated.padding)
    layers["flow_head.conv1"] = DeltaConv.of(step.block.flow_head.conv1, dtype)
    # The flow starts at zero, of which nothing can be a share.
    layers["encoder.convf1"] = replace(layers["encoder.convf1"], unit=flow_unit)
    return layers | {name: replace(layers[name], lenience=lenience) for name, lenience in _LENIENCE.items()}


@dataclass(frozen=True)
class DeltaStep:
    """(hidden, windows, flow) -> (hidden, change of flow), as UpdateStep, but for the steps of one solve, in their order.

    memories and ledger belong to that solve, and grow with it. Where gradient is recorded the step is the dense one, and
    leaves them alone: a memory has no gradient to what it was computed from. rows: the samples' places in the batch.
    """

    dense: UpdateStep
    layers: Mapping[str, DeltaConv]
    delta: Delta
    context: Tensor
    rows: Tensor
    memories: dict[str, DeltaMemory]
    ledger: Ledger
    count: bool

    def __call__(self, hidden: Tensor, windows: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        if torch.is_grad_enabled():
            return self.dense(hidden, windows, flow)
        self.ledger.begin_step(self.rows)
        motion = self.motion(windows, flow)
        if self.dense.aggregation is not None:
            motion = torch.cat([motion, self.dense.aggregation(motion)], dim=1)
        hidden = self.recur(hidden, motion)
        features = self._convolve("flow_head.conv1", hidden).relu()
        last = self.dense.block.flow_head.conv2
        if self.count:
            work = Work.of(features, features, last.kernel_size, last.out_channels)
            self.ledger.count("flow_head.conv2", LayerWork(work))
        return hidden, last(features)

    def select(self, index: Tensor) -> DeltaStep:
        return replace(
            self,
            dense=self.dense.select(index),
            context=self.context[index],
            rows=self.rows[index],
            memories={name: memory.select(index) for name, memory in self.memories.items()},
        )

    def motion(self, windows: Tensor, flow: Tensor) -> Tensor:
        """As MotionEncoder."""
        corr = self._convolve("encoder.convc1", windows).relu()
        features = self._convolve("encoder.convf1", flow).relu()
        if self.dense.dropout is not None:
            corr, features = corr * self.dense.dropout.corr, features * self.dense.dropout.flow
        corr = self._convolve("encoder.convc2", corr).relu()
        features = self._convolve("encoder.convf2", features).relu()
        motion = self._convolve("encoder.conv", torch.cat([corr, features], dim=1)).relu()
        # The flow itself, not what is remembered of it.
        return torch.cat([motion, flow.to(motion.dtype)], dim=1)

    def recur(self, hidden: Tensor, motion: Tensor) -> Tensor:
        """As RecurrentStep."""
        for number, gated in enumerate(self.dense.recurrent.passes, start=1):
            hidden = self._gated(number, gated, hidden, motion)
        return hidden

    def _gated(self, number: int, gated: GatedPass, hidden: Tensor, motion: Tensor) -> Tensor:
        gates = self._convolve(f"gru.gates{number}", torch.cat([hidden, motion], dim=1), gated.gates_context)
        z, r = gates.sigmoid().chunk(2, dim=1)
        reset = torch.cat([r * hidden, motion], dim=1)
        q = self._convolve(f"gru.convq{number}", reset, gated.candidate_context)
        return torch.lerp(hidden, tanh(q), z)

    def _convolve(self, name: str, x: Tensor, constant: Tensor | None = None) -> Tensor:
        layer, memory = self.layers[name], self.memories.get(name)
        if self.count:
            self._count(name, x, layer.changes(x, memory, self.delta), layer)
        result = layer(x, memory, self.delta, constant)
        self.memories[name] = result.memory
        self._note(x, result.sent, layer)
        return result.output

    def _note(self, x: Tensor, sent: Tensor | None, layer: DeltaConv) -> None:
        outputs, kernel = layer.weight.shape[0], layer.pixels.sides
        everywhere = dense_macs(x.shape[1:], kernel, outputs)
        macs = everywhere if sent is None else propagated_macs(sent, kernel, outputs * x.shape[1] // sent.shape[1])
        self.ledger.propagate(macs, everywhere)

    def _count(self, name: str, x: Tensor, changes: Tensor, layer: DeltaConv) -> None:
        kernel, outputs = layer.pixels.sides, layer.weight.shape[0]
        if not name.startswith("gru."):
            self.ledger.count(name, LayerWork(Work.of(x, changes, kernel, outputs)))
            return
        # The context is an input of these layers, too, whose change is zero after the first step. Without a bias.
        twins = [name.replace("gates", f"conv{gate}") for gate in "zr"] if "gates" in name else [name]
        changed = self.context if self.ledger.steps == 1 else torch.zeros_like(self.context)
        context = Work.of(self.context, changed, kernel, outputs // len(twins))
        work = Work.of(x, changes, kernel, outputs // len(twins)) + context
        for twin in twins:
            self.ledger.count(twin, LayerWork(work, context))


def deltadeq(*, delta: Delta, count: bool = False, across_frames: bool = False, **settings: Any) -> DeltaDEQ:
    """delta, count, across_frames: see DeltaDEQ. settings: those of `deqflow`, which gives the sizes."""
    return deqflow(**settings, assemble=partial(DeltaDEQ, delta=delta, count=count, across_frames=across_frames))
