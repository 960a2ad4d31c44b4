"""MAC counter of a delta update: propagated elements and their cost, by step, layer and sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flowbench.ops.delta.counting import Work

_COUNTED = ("update_gmacs", "update_gmacs_relu", "update_gmacs_dense", "update_gmacs_dense_shared")


@dataclass(frozen=True)
class LayerWork:
    """The work of a layer at one step: of its full input, and of the context, which is the same at every step."""

    work: Work
    context: Work | None = None


@dataclass
class MacCounter:
    """Multiply-accumulates (MACs) of one solve of a batch of `size` pairs. Operators write into it and never read it."""

    size: int
    _rows: list[Tensor] = field(default_factory=list)
    _propagated: list[list[tuple[Tensor | int, int]]] = field(default_factory=list)
    _work: list[dict[str, LayerWork]] = field(default_factory=list)

    def begin_step(self, rows: Tensor) -> None:
        """Begins a step of some samples; rows: their indices in the batch."""
        self._rows.append(rows)
        self._propagated.append([])
        self._work.append({})

    @property
    def steps(self) -> int:
        """Number of steps that have begun."""
        return len(self._rows)

    def propagate(self, macs: Tensor | int, of: int) -> None:
        """Adds a layer's MACs.

        Args:
            macs: of propagated elements, (B,), or one number for all samples.
            of: MACs of the dense layer per sample.
        """
        self._propagated[-1].append((macs, of))

    def count(self, layer: str, work: LayerWork) -> None:
        self._work[-1][layer] = work

    @property
    def work(self) -> list[Mapping[str, Work]]:
        """Each step's work by layer, of the samples that took the step."""
        return [{name: layer.work for name, layer in step.items()} for step in self._work]

    def stats(self, steps: Tensor) -> dict[str, Tensor]:
        """Numbers of each sample, (B,), over the steps that it took.

        Those of the delta layers, zeros of the input included:
            propagated: the share of the multiplications that the rule left.
            propagated_gmacs, dense_gmacs: 10^9 multiply-accumulates that the rule left, and of all.
        Where work was counted, also 10^9 multiply-accumulates of the update block, without global motion aggregation:
            update_gmacs: those whose input element is not zero as it is propagated.
            update_gmacs_relu: those whose input element is not zero as it is without the rule.
            update_gmacs_dense: all.
            update_gmacs_dense_shared: all of a network that convolves the context once per pair.

        Args:
            steps: (B,), how many steps each sample took.
        """
        sums = torch.zeros(2 + len(_COUNTED), self.size, dtype=torch.float64, device=steps.device)
        for number, rows in enumerate(self._rows):
            taken = (number < steps[rows]).to(sums)
            sums[0, rows] += sum(macs for macs, _ in self._propagated[number]) * taken
            sums[1, rows] += sum(of for _, of in self._propagated[number]) * taken
            for layer in self._work[number].values():
                work = layer.work
                repeated = layer.context.dense if layer.context and number else 0
                sums[2, rows] += work.macs * taken
                sums[3, rows] += work.raw_macs * taken
                sums[4, rows] += work.dense * taken
                sums[5, rows] += (work.dense - repeated) * taken
        stats = {"propagated": sums[0] / sums[1], "propagated_gmacs": sums[0] / 1e9, "dense_gmacs": sums[1] / 1e9}
        if any(self._work):
            stats |= {name: macs / 1e9 for name, macs in zip(_COUNTED, sums[2:], strict=True)}
        return {name: numbers.float() for name, numbers in stats.items()}
