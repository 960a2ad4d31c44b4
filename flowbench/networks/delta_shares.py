"""What the delta rule leaves out of each layer's input, step by step, on a DEQ-Flow of any weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from flowbench.deq import DEQ, SolverStats
from flowbench.deq.normalisation import weights_computed_once
from flowbench.networks.deltadeq import DeltaDEQ
from flowbench.networks.deqflow import DEQFlow
from flowbench.ops.delta import Delta, DeltaConv, DeltaMemory, DeltaResult

_PARTS = (
    "attention",
    "through_coords",
    "warm",
    "fnet",
    "cnet",
    "update_block",
    "mask",
    "levels",
    "radius",
    "correlation",
)


@dataclass(frozen=True)
class LayerShares:
    """Of a layer, one number a step, from the first, which propagates all. The context, which never changes, is not part of
    its input here.

    elements: the share of the input's elements that are not propagated. pixels: of its pixels, none of whose channels is.
    weights: of the layer's kernel, by which shares of several layers are weighted.
    """

    elements: list[float] = field(default_factory=list)
    pixels: list[float] = field(default_factory=list)
    weights: int = 0


@dataclass(frozen=True)
class DeltaSolve:
    """layers: by name, in the order of the update. flow: (B, 2, H, W), what the solve ended with. stats: of the solver."""

    layers: Mapping[str, LayerShares]
    flow: Tensor
    stats: SolverStats


def dense_network(network: DEQFlow, deq: DEQ) -> DEQFlow:
    """A DEQ-Flow or DeltaDEQ as a DEQ-Flow with another equilibrium layer; the weights are shared."""
    return DEQFlow(deq=deq, **_parts(network)).eval()


@torch.no_grad()
def delta_solve(network: DEQFlow, deq: DEQ, delta: Delta, image1: Tensor, image2: Tensor) -> DeltaSolve:
    """Solves a batch of pairs under the rule and notes what is left out. image1, image2: (B, 3, H, W) in [0, 1]."""
    ruled = DeltaDEQ(delta=delta, count=False, across_frames=False, deq=deq, **_parts(network)).eval()
    with weights_computed_once(ruled.update_block):
        refine, start = ruled.problem(image1, image2)
        step = refine.update
        layers = {name: _Watched.watching(layer) for name, layer in step.layers.items()}
        refine = replace(refine, update=replace(step, layers=layers))
        solution = deq.solve(refine, start)
    shares = {name: layer.shares for name, layer in layers.items()}
    return DeltaSolve(shares, ruled.decode(solution.z, refine.grid), solution.stats)


def _parts(network: DEQFlow) -> dict[str, object]:
    return {name: getattr(network, name) for name in _PARTS}


@dataclass(frozen=True)
class _Watched(DeltaConv):
    shares: LayerShares = field(kw_only=True)

    @classmethod
    def watching(cls, layer: DeltaConv) -> _Watched:
        settings = {each.name: getattr(layer, each.name) for each in fields(layer)}
        return cls(**settings, shares=LayerShares(weights=layer.weight.numel()))

    def __call__(
        self, x: Tensor, memory: DeltaMemory | None, delta: Delta, constant: Tensor | None = None
    ) -> DeltaResult:
        result = super().__call__(x, memory, delta, constant)
        sent = result.sent
        self.shares.elements.append(0.0 if sent is None else 1 - sent.double().mean().item())
        self.shares.pixels.append(0.0 if sent is None else 1 - sent.any(dim=1).double().mean().item())
        return result
