"""Operators that carry out the convolutions of a delta update: the delta convolution, and variants that also count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from flowbench.networks.delta_counter import LayerWork, MacCounter
from flowbench.networks.update import Activation, Layer, SplitConv, UpdateStep, dense
from flowbench.ops.delta.convolution import Delta, DeltaConv, DeltaMemory, DeltaResult
from flowbench.ops.delta.counting import Work, dense_macs, propagated_macs
from flowbench.ops.delta.lookup import LookupMemory

# How much larger than another layer's a relative threshold may be at equal error, by factors of two: docs/results.md has
# what was tried. A gate's logistic function passes on a quarter of a change at most; the flow head's goes on to the flow.
_THRESHOLD_SCALES = {
    "encoder.convf2": 2.0,
    "encoder.conv": 0.5,
    "gru.gates1": 8.0,
    "gru.gates2": 8.0,
    "flow_head.conv1": 0.25,
}


@dataclass(frozen=True)
class DeltaLayers:
    """The update's convolutions that are delta convolutions: all but the last of the flow head.

    Attributes:
        names: of these layers.
        convs: the delta convolutions, by name. Those of the recurrent unit act on [hidden, motion].
    """

    names: Mapping[Layer, str]
    convs: Mapping[str, DeltaConv]

    @classmethod
    def of(cls, step: UpdateStep, dtype: torch.dtype, *, flow_unit: float) -> DeltaLayers:
        """The delta layers of an update.

        Args:
            step: the update, prepared for a batch of pairs.
            dtype: of the products.
            flow_unit: relative thresholds of the flow are a share of it, pixels of the feature map.
        """
        block = step.block
        layers: dict[str, nn.Conv2d | SplitConv] = {
            f"encoder.{name}": layer for name, layer in block.encoder.named_children() if isinstance(layer, nn.Conv2d)
        }
        for number, gated in enumerate(step.passes, start=1):
            layers |= {f"gru.gates{number}": gated.gates, f"gru.convq{number}": gated.candidate}
        layers["flow_head.conv1"] = block.flow_head.conv1
        convs = {
            name: replace(_delta_conv(layer, dtype), threshold_scale=_THRESHOLD_SCALES.get(name, 1.0))
            for name, layer in layers.items()
        }
        # The flow starts at zero, so its first RMS cannot be the unit of a relative threshold.
        convs["encoder.convf1"] = replace(convs["encoder.convf1"], unit=flow_unit)
        return cls({layer: name for name, layer in layers.items()}, convs)


def _delta_conv(layer: Layer, dtype: torch.dtype) -> DeltaConv:
    if isinstance(layer, SplitConv):
        return DeltaConv.from_weight(layer.weight, None, layer.padding)
    return DeltaConv.of(layer, dtype)


@dataclass
class DeltaMemories:
    """The memories of a delta update, from one evaluation to the next.

    Attributes:
        layers: by name; empty before the first evaluation.
        lookup: of the correlation; None before the first evaluation, and where its lookup is dense.
    """

    layers: dict[str, DeltaMemory] = field(default_factory=dict)
    lookup: LookupMemory | None = None
    _used: bool = False

    def take(self) -> DeltaMemories:
        """The same, for an evaluation that changes it in place; RuntimeError for a second one."""
        if self._used:
            raise RuntimeError("These memories are used up by an evaluation: make a copy with clone() before it.")
        self._used = True
        return DeltaMemories(dict(self.layers), self.lookup)

    def select(self, index: Tensor) -> DeltaMemories:
        layers = {name: memory.select(index) for name, memory in self.layers.items()}
        return DeltaMemories(layers, None if self.lookup is None else self.lookup.select(index))

    def clone(self) -> DeltaMemories:
        layers = {name: memory.clone() for name, memory in self.layers.items()}
        return DeltaMemories(layers, None if self.lookup is None else self.lookup.clone())


class DeltaConvolve:
    """Delta convolutions for one evaluation of the update. Layers that are no delta layers are dense.

    Args:
        layers: the delta layers.
        delta: the rule.
        memories: of the layers, by name; they are replaced by the memories for the next evaluation.
    """

    def __init__(self, layers: DeltaLayers, delta: Delta, memories: dict[str, DeltaMemory]) -> None:
        self.layers = layers
        self.delta = delta
        self.memories = memories

    def __call__(self, layer: Layer, x: Tensor, activation: Activation, constant: Tensor | None = None) -> Tensor:
        name = self.layers.names.get(layer)
        if name is None:
            return dense(layer, x, activation, constant)
        result = self.propagate(name, self.layers.convs[name], x, constant)
        return activation(result.output, False)

    def propagate(self, name: str, conv: DeltaConv, x: Tensor, constant: Tensor | None) -> DeltaResult:
        result = conv(x, self.memories.get(name), self.delta, constant)
        self.memories[name] = result.memory
        return result


class PropagationCount(DeltaConvolve):
    """Also counts the multiplications of propagated elements.

    Args:
        layers, delta, memories: see DeltaConvolve.
        counter: takes the counts.
        indices: (B,), the samples' indices in the batch that is counted.
    """

    def __init__(
        self,
        layers: DeltaLayers,
        delta: Delta,
        memories: dict[str, DeltaMemory],
        *,
        counter: MacCounter,
        indices: Tensor,
    ) -> None:
        super().__init__(layers, delta, memories)
        self.counter = counter
        counter.begin_step(indices)

    def propagate(self, name: str, conv: DeltaConv, x: Tensor, constant: Tensor | None) -> DeltaResult:
        result = super().propagate(name, conv, x, constant)
        outputs, kernel, active = conv.weight.shape[0], conv.pixels.sides, result.active
        everywhere = dense_macs(x.shape[1:], kernel, outputs)
        left: Tensor | int = everywhere
        if active is not None:
            left = propagated_macs(active, kernel, outputs * x.shape[1] // active.shape[1])
        self.counter.propagate(left, everywhere)
        return result


class WorkCount(PropagationCount):
    """Also counts, element by element, the multiplications whose input is not zero.

    Args:
        layers, delta, memories, counter, indices: see PropagationCount.
        step: the update, whose convolutions are counted by their parameters' names.
    """

    def __init__(
        self,
        layers: DeltaLayers,
        delta: Delta,
        memories: dict[str, DeltaMemory],
        *,
        counter: MacCounter,
        indices: Tensor,
        step: UpdateStep,
    ) -> None:
        super().__init__(layers, delta, memories, counter=counter, indices=indices)
        self.context = step.context
        self.names_of_modules = {module: name for name, module in step.block.named_modules()}

    def __call__(self, layer: Layer, x: Tensor, activation: Activation, constant: Tensor | None = None) -> Tensor:
        name, changes = self.layers.names.get(layer), x
        if name is not None:
            changes = self.layers.convs[name].changes(x, self.memories.get(name), self.delta)
        if isinstance(layer, SplitConv):
            self._count_with_context(layer, x, changes)
        else:
            work = Work.of(x, changes, _kernel(layer), layer.out_channels)
            self.counter.count(self.names_of_modules[layer], LayerWork(work))
        return super().__call__(layer, x, activation, constant)

    def _count_with_context(self, layer: SplitConv, x: Tensor, changes: Tensor) -> None:
        """The context is an input of these convolutions, too, whose change is zero after the first step."""
        changed = self.context if self.counter.steps == 1 else torch.zeros_like(self.context)
        for conv in layer.layers:
            context = Work.of(self.context, changed, _kernel(conv), conv.out_channels)
            work = Work.of(x, changes, _kernel(conv), conv.out_channels) + context
            self.counter.count(self.names_of_modules[conv], LayerWork(work, context))


def _kernel(conv: nn.Conv2d) -> tuple[int, int]:
    height, width = conv.kernel_size
    return height, width
