"""How often a solver waits for the device: counted as a GPU would see it, on whatever device the tests run."""

from dataclasses import replace

import pytest
import torch
from support.maps import symmetric
from torch.utils._python_dispatch import TorchDispatchMode

from flowbench.deq import Anderson, Broyden, Damped, FixedPoint

READS = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero", "aten::masked_select", "aten::equal")
INDEXING = ("aten::index.Tensor", "aten::index_put", "aten::index_put_")
SOLVERS = [FixedPoint(), Damped(), Anderson(), Anderson(returned="iterate"), Broyden(), Broyden(memory=3)]
on_all = pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: repr(solver)[:12])


class HostReads(TorchDispatchMode):
    """Counts .item(), bool(), nonzero and indexing with masks."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name()
        if name in READS:
            self.count += 1
        if name.startswith(INDEXING) and any(index is not None and index.dtype == torch.bool for index in args[1]):
            self.count += 1
        return func(*args, **(kwargs or {}))


def reads_and_steps(solver) -> tuple[int, int]:
    f = symmetric(0.97, 0.3, 0.8, 0.9)
    with HostReads() as reads:
        stats = solver.solve(f, f.start, [3, 9]).stats
    return reads.count, stats.abs_trace.shape[1]


def test_the_counter_counts():
    mask = torch.tensor([True, False])
    with HostReads() as reads:
        assert bool(mask.any())
        mask.sum().item()
        mask.nonzero()
        mask[mask]
        mask[mask] = False
    assert reads.count == 5


@pytest.mark.parametrize("converged", ["freeze", "drop", "continue"])
@on_all
def test_a_step_reads_one_number(solver, converged):
    reads, steps = reads_and_steps(replace(solver, converged=converged, max_steps=50, tolerance=1e-4))
    assert steps > 5
    assert reads == steps


@on_all
def test_nothing_is_read_where_the_tolerance_cannot_be_met(solver):
    assert reads_and_steps(replace(solver, tolerance=0)) == (0, solver.max_steps)


@on_all
def test_all_steps_are_taken_with_a_tolerance_of_zero(solver):
    """The results are those of a tolerance that is above zero and out of reach."""
    f = symmetric(0.97, 0.9)
    free, read = (replace(solver, tolerance=value, max_steps=12).solve(f, f.start) for value in (0, 1e-30))
    assert torch.equal(free.z[0], read.z[0])
    for name, values in free.stats.as_dict().items():
        assert torch.equal(values, getattr(read.stats, name)), name
