"""Delta convolutions: changes of the input are convolved, and added to the last output (DeltaDEQ, NeurIPS 2024).

A layer's memory is the part of its input that it has propagated, m, and the convolution of m, c. In an iteration that
converges, fewer and fewer changes x - m exceed a threshold and are propagated. The memory is an argument and a result: a
layer itself holds no state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowbench.errors import FlowBenchError
from flowbench.ops.delta.pixels import PixelKernel, as_rows, rms_of_rows

Rule = Literal["element", "pixel"]
MemoryRule = Literal["bounded", "reference"]
Execution = Literal["auto", "sparse", "dense"]
Scale = Literal["absolute", "relative"]


@dataclass(frozen=True, kw_only=True)
class Delta:
    """The rule by which changes are propagated.

    Args:
        threshold: changes up to this are dropped; 0 drops only changes of exactly zero.
        rule: "element", the published rule, drops single elements, which saves multiplications on special hardware only.
            "pixel" drops all channels of a pixel whose change has an RMS over the channels of at most `threshold`, and so
            rows of a matrix product.
        memory: "bounded" sets m to x where x was propagated: dropped changes accumulate in x - m until they exceed the
            threshold, and c is always the convolution of m. "reference", the published code's, sets m to x everywhere:
            dropped changes are lost, and the error may grow with the steps.
        execution: "sparse" multiplies the propagated pixels alone; "dense" all; "auto" takes the faster at each step.
        scale: "absolute", one threshold for all layers, in the units of their inputs, as published. "relative", the
            threshold is a share of a layer's own unit: the RMS of its input at the first step times its
            `DeltaConv.threshold_scale`.
    """

    threshold: float = 0.005
    rule: Rule = "pixel"
    memory: MemoryRule = "bounded"
    execution: Execution = "auto"
    scale: Scale = "absolute"

    def __post_init__(self) -> None:
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int | float):
            raise FlowBenchError(f"threshold={self.threshold!r}: give a number of at least 0.")
        if not 0 <= self.threshold < math.inf:
            raise FlowBenchError(f"threshold={self.threshold}: give a number of at least 0.")
        choices_of = {"rule": Rule, "memory": MemoryRule, "execution": Execution, "scale": Scale}
        for name, kinds in choices_of.items():
            if getattr(self, name) not in get_args(kinds):
                choices = ", ".join(get_args(kinds))
                raise FlowBenchError(f"{name}={getattr(self, name)!r}: choose one of {choices}.")
        if self.execution == "sparse" and self.rule == "element":
            raise FlowBenchError(
                "execution=sparse needs rule=pixel: the element rule leaves no pixel that could be skipped."
            )

    def active(self, x: Tensor, memory: DeltaMemory) -> Tensor:
        """The active mask, where x is propagated: (B, C, H, W) bool for the element rule, (B, 1, H, W) for the pixel rule."""
        if self.rule == "element":
            change = (x - memory.input).abs_()
        else:
            change = rms_of_rows(as_rows(x), as_rows(memory.input)).view(x.shape[0], 1, *x.shape[-2:])
        return change > self.threshold * memory.unit[:, None, None, None]


@dataclass(frozen=True)
class DeltaMemory:
    """The memory of one layer for one batch. A step changes its tensors in place.

    Attributes:
        input: m, (B, Cin, H, W).
        padded: c with bias and constant, (B, H + 2 ph, W + 2 pw, Cout), with borders for outputs outside of the map.
        unit: (B,), factors of the threshold.
        constant: (B, Cout, H, W), the last call's.
    """

    input: Tensor
    padded: Tensor
    unit: Tensor
    constant: Tensor | None

    def select(self, index: Tensor) -> DeltaMemory:
        constant = None if self.constant is None else self.constant[index]
        return DeltaMemory(self.input[index], self.padded[index], self.unit[index], constant)

    def clone(self) -> DeltaMemory:
        return DeltaMemory(self.input.clone(), self.padded.clone(), self.unit, self.constant)


@dataclass(frozen=True)
class DeltaResult:
    """The result of a delta convolution.

    Attributes:
        output: (B, Cout, H, W), the memory's own, and not to be changed in place.
        memory: for the next step.
        active: the active mask, where x was propagated, (B, C or 1, H, W) bool; None at the first step, which propagates
            everything.
    """

    output: Tensor
    memory: DeltaMemory
    active: Tensor | None


@dataclass(frozen=True)
class DeltaConv:
    """A convolution of stride 1 that keeps the size of the map, as a delta convolution.

    Attributes:
        weight: (Cout, Cin, kh, kw), without gradient.
        bias: (Cout,) or None, without gradient.
        pixels: the kernel for single pixels.
        threshold_scale: factor of relative thresholds of this layer.
        unit: relative thresholds are a share of it; None for the RMS of the first input.
    """

    weight: Tensor
    bias: Tensor | None
    pixels: PixelKernel
    threshold_scale: float = 1.0
    unit: float | None = None

    @classmethod
    def of(cls, layer: nn.Conv2d, dtype: torch.dtype | None = None) -> DeltaConv:
        """dtype: that of the products; None for the layer's own."""
        return cls.from_weight(layer.weight.to(dtype or layer.weight.dtype), layer.bias, _same_padding(layer))

    @classmethod
    def from_weight(cls, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> DeltaConv:
        if tuple(2 * size + 1 for size in padding) != tuple(weight.shape[-2:]):
            raise FlowBenchError(
                "A delta convolution keeps the map's size, but a kernel of "
                f"{tuple(weight.shape[-2:])} with padding {padding} does not."
            )
        weight = weight.detach()
        return cls(weight, None if bias is None else bias.detach(), PixelKernel.of(weight))

    @property
    def padding(self) -> tuple[int, int]:
        return self.pixels.padding

    def __call__(
        self, x: Tensor, memory: DeltaMemory | None, delta: Delta, constant: Tensor | None = None
    ) -> DeltaResult:
        """One step of the layer.

        Args:
            x: (B, Cin, H, W).
            memory: of the step before, which is changed in place; None for the first step, which is dense.
            delta: the rule.
            constant: (B, Cout, H, W), added to the output, at no cost if it is the tensor of the last call.
        """
        if memory is None:
            memory, active = self._start(x, delta, constant), None
        else:
            memory = self._with_constant(memory, constant)
            active = delta.active(x, memory)
            self.update(x, memory, active, delta)
        return DeltaResult(self._inside(memory).to(self.weight.dtype), memory, active)

    def changes(self, x: Tensor, memory: DeltaMemory | None, delta: Delta) -> Tensor:
        """(B, Cin, H, W): the changes that a call with the same arguments would propagate, zero elsewhere.

        Args:
            x, memory, delta: see `__call__`.
        """
        if memory is None:
            return x
        return torch.where(delta.active(x, memory), x - memory.input, 0)

    def _start(self, x: Tensor, delta: Delta, constant: Tensor | None) -> DeltaMemory:
        batch, _, height, width = x.shape
        down, across = self.padding
        convolved = self._convolve(x, self.bias)
        # Sums of many small changes: never in half precision.
        dtype = torch.promote_types(convolved.dtype, torch.float32)
        padded = x.new_zeros(batch, height + 2 * down, width + 2 * across, convolved.shape[1], dtype=dtype)
        unit = self._unit(x, delta).to(dtype)
        memory = DeltaMemory(x.clone(memory_format=torch.channels_last), padded, unit, constant)
        self._put(convolved, memory)
        return memory

    def _unit(self, x: Tensor, delta: Delta) -> Tensor:
        if delta.scale == "absolute":
            return x.new_ones(x.shape[0])
        if self.unit is not None:
            return x.new_full((x.shape[0],), self.threshold_scale * self.unit)
        return x.flatten(1).float().square().mean(dim=1).sqrt() * self.threshold_scale

    def update(self, x: Tensor, memory: DeltaMemory, active: Tensor, delta: Delta) -> None:
        """Updates the memory in place.

        Args:
            x: (B, Cin, H, W).
            memory: of the step before.
            active: the active mask, where x is propagated.
            delta: the rule.
        """
        if delta.rule == "pixel" and delta.execution != "dense":
            index = active.flatten().nonzero().squeeze(1)
            if delta.execution == "sparse" or index.numel() <= self.pixels.break_even * active.numel():
                self._update_pixels(x, memory, index, delta)
                return
        if delta.memory == "bounded":
            torch.where(active, x, memory.input, out=memory.input)
            self._put(self._convolve(memory.input, self.bias), memory)
        else:
            change = torch.where(active, x - memory.input, 0)
            self._inside(memory).add_(self._convolve(change))
            memory.input.copy_(x)

    def _update_pixels(self, x: Tensor, memory: DeltaMemory, index: Tensor, delta: Delta) -> None:
        now, before = as_rows(x), as_rows(memory.input)
        current = now.index_select(0, index)
        change = current - before.index_select(0, index)
        if delta.memory == "bounded":
            before.index_copy_(0, index, current)
        else:
            before.copy_(now)
        self.pixels.add(change, index, memory.padded)

    def _with_constant(self, memory: DeltaMemory, constant: Tensor | None) -> DeltaMemory:
        if constant is memory.constant:
            return memory
        # In the memory's precision: rounded differences would add up over the pairs of a video.
        if memory.constant is not None:
            self._inside(memory).sub_(memory.constant)
        if constant is not None:
            self._inside(memory).add_(constant)
        return replace(memory, constant=constant)

    def _put(self, convolved: Tensor, memory: DeltaMemory) -> None:
        inside = self._inside(memory)
        if memory.constant is None:
            inside.copy_(convolved)
        else:
            torch.add(convolved.to(inside.dtype), memory.constant, out=inside)

    def _inside(self, memory: DeltaMemory) -> Tensor:
        """(B, Cout, H, W), a view of what lies within the map."""
        (down, across), (_, height, width, _) = self.padding, memory.padded.shape
        return memory.padded[:, down : height - down, across : width - across].permute(0, 3, 1, 2)

    def _convolve(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        bias = None if bias is None else bias.to(self.weight.dtype)
        return F.conv2d(x.to(self.weight.dtype), self.weight, bias, padding=self.padding)


def _same_padding(layer: nn.Conv2d) -> tuple[int, int]:
    if layer.stride != (1, 1) or layer.dilation != (1, 1) or layer.groups != 1 or layer.padding_mode != "zeros":
        raise FlowBenchError(
            f"A delta convolution has stride and dilation 1, one group and zeros around the map: {layer} has not."
        )
    if isinstance(layer.padding, str):
        raise FlowBenchError(f"A delta convolution has its padding in numbers: {layer} has not.")
    down, across = layer.padding
    return down, across
