"""The shares of each layer's input that the delta rule does not propagate, step by step, for DEQ-Flow of any weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flowbench.deq import DEQ, SolverMap, SolverStats
from flowbench.deq.normalisation import weights_computed_once
from flowbench.networks.delta_operators import DeltaConvolve, DeltaLayers, DeltaMemories
from flowbench.networks.deltadeq import DeltaRefinement
from flowbench.networks.deqflow import DEQFlow
from flowbench.ops.delta.convolution import Delta, DeltaConv, DeltaMemory, DeltaResult


@dataclass(frozen=True)
class LayerShares:
    """The shares of one layer, one number per step. The first step propagates everything. The context, which never changes,
    does not count as input.

    Attributes:
        elements: the share of the input's elements that are not propagated.
        pixels: the share of its pixels of which no channel is propagated.
        weights: elements of the layer's kernel, by which shares of several layers are weighted.
    """

    elements: list[float] = field(default_factory=list)
    pixels: list[float] = field(default_factory=list)
    weights: int = 0


@dataclass(frozen=True)
class DeltaSolve:
    """A solve under the rule.

    Attributes:
        layers: by name, in the order of the update.
        flow: (B, 2, H, W), the result of the solve, pixels.
        stats: of the solver.
    """

    layers: Mapping[str, LayerShares]
    flow: Tensor
    stats: SolverStats


@torch.no_grad()
def delta_solve(network: DEQFlow, deq: DEQ, delta: Delta, image1: Tensor, image2: Tensor) -> DeltaSolve:
    """Solves a batch of pairs under the rule and records the shares that are not propagated.

    Args:
        network: a DEQ-Flow or DeltaDEQ in eval mode.
        deq: replaces the network's own equilibrium layer.
        delta: the rule.
        image1, image2: (B, 3, H, W) in [0, 1].
    """
    shares: dict[str, LayerShares] = {}

    def watching(f: DeltaRefinement, memories: dict[str, DeltaMemory]) -> DeltaConvolve:
        return _Watching(f.layers, f.delta, memories, shares=shares)

    with weights_computed_once(network.update_block):
        refine, start = network.problem(image1, image2)
        f = DeltaRefinement.of(refine, delta, stride=network.stride, make_operator=watching)
        solution = deq.solve(refine, start, solver_map=SolverMap(f, DeltaMemories()))
    in_order = {name: shares[name] for name in f.layers.convs}
    return DeltaSolve(in_order, network.decode(solution.z, refine.grid), solution.stats)


class _Watching(DeltaConvolve):
    """Records the shares of each layer that are not propagated."""

    def __init__(
        self,
        layers: DeltaLayers,
        delta: Delta,
        memories: dict[str, DeltaMemory],
        *,
        shares: dict[str, LayerShares],
    ) -> None:
        super().__init__(layers, delta, memories)
        self.shares = shares

    def propagate(self, name: str, conv: DeltaConv, x: Tensor, constant: Tensor | None) -> DeltaResult:
        result = super().propagate(name, conv, x, constant)
        shares, active = self.shares.setdefault(name, LayerShares(weights=conv.weight.numel())), result.active
        shares.elements.append(0.0 if active is None else 1 - active.double().mean().item())
        shares.pixels.append(0.0 if active is None else 1 - active.any(dim=1).double().mean().item())
        return result
