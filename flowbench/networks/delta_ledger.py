"""What a delta update has propagated, and what that cost: by step, layer and sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flowbench.ops.delta_counting import Work

_COUNTED = ("update_gmacs", "update_gmacs_relu", "update_gmacs_dense", "update_gmacs_dense_shared")


@dataclass(frozen=True)
class LayerWork:
    """Of a layer at a step. work: of all that it convolves. context: of the part that does not change from step to step."""

    work: Work
    context: Work | None = None


@dataclass
class Ledger:
    """Of one batch of `size` pairs. It grows with every step of the update."""

    size: int
    _rows: list[Tensor] = field(default_factory=list)
    _propagated: list[list[tuple[Tensor | int, int]]] = field(default_factory=list)
    _work: list[dict[str, LayerWork]] = field(default_factory=list)

    def begin_step(self, rows: Tensor) -> None:
        """rows: which samples of the batch take it."""
        self._rows.append(rows)
        self._propagated.append([])
        self._work.append({})

    @property
    def steps(self) -> int:
        """How many have begun."""
        return len(self._rows)

    def propagate(self, macs: Tensor | int, of: int) -> None:
        """A layer's multiply-accumulates that the rule left, (B,) or the same for all, of so many a sample."""
        self._propagated[-1].append((macs, of))

    def count(self, layer: str, work: LayerWork) -> None:
        self._work[-1][layer] = work

    @property
    def work(self) -> list[Mapping[str, Work]]:
        """Each step's work by layer, of the samples that took the step."""
        return [{layer: each.work for layer, each in step.items()} for step in self._work]

    def stats(self, steps: Tensor) -> dict[str, Tensor]:
        """Figures of each sample, (B,), over the steps that it took.

        propagated: the share of the delta layers' multiplications that the rule left. propagated_gmacs, dense_gmacs: 10^9
        multiply-accumulates that it left, and that there are, zeros of the input among them. Where work was counted, 10^9
        multiply-accumulates of the update block, too, without global motion aggregation. update_gmacs: those whose input
        element is not zero as it is propagated; update_gmacs_relu: as it is without the rule; update_gmacs_dense: all;
        update_gmacs_dense_shared: all of a network that convolves the context once a pair.
        """
        sums = torch.zeros(2 + len(_COUNTED), self.size, dtype=torch.float64, device=steps.device)
        for number, rows in enumerate(self._rows):
            taken = (number < steps[rows]).to(sums)
            sums[0, rows] += sum(macs for macs, _ in self._propagated[number]) * taken
            sums[1, rows] += sum(of for _, of in self._propagated[number]) * taken
            for each in self._work[number].values():
                work = each.work
                repeated = each.context.dense if each.context and number else 0
                sums[2, rows] += work.macs * taken
                sums[3, rows] += work.raw_macs * taken
                sums[4, rows] += work.dense * taken
                sums[5, rows] += (work.dense - repeated) * taken
        stats = {"propagated": sums[0] / sums[1], "propagated_gmacs": sums[0] / 1e9, "dense_gmacs": sums[1] / 1e9}
        if any(self._work):
            stats |= {name: macs / 1e9 for name, macs in zip(_COUNTED, sums[2:], strict=True)}
        return {name: figures.float() for name, figures in stats.items()}
