"""Agreement with torchdeq, the library of the authors of DEQ-Flow, step for step."""

import pytest
import torch
import torchdeq
from support.maps import F64
from torch import Tensor, nn

from flowbench.deq import (
    DEQ,
    Anderson,
    Broyden,
    FixedPoint,
    ImplicitGradient,
    IndexedCorrection,
    PhantomGradient,
    SegmentedCorrection,
    State,
)

SOLVERS = {"fixed_point_iter": FixedPoint, "anderson": Anderson, "broyden": Broyden}
on_all = pytest.mark.parametrize("name", list(SOLVERS))
MODES = {"abs": "absolute", "rel": "relative"}


class Cell(nn.Module):
    """z -> tanh(z W^T + x), for torchdeq a map of tensors, for this library one of states."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.35 * torch.randn(6, 6, dtype=F64))
        self.x = nn.Parameter(torch.randn(3, 6, dtype=F64))
        self.start = torch.zeros(3, 6, dtype=F64)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z @ self.weight.T + self.x)

    def map(self, state: State) -> State:
        return (self(state[0]),)

    def gradients(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return torch.autograd.grad(z.square().sum(), (self.weight, self.x), retain_graph=True)


@pytest.mark.parametrize("mode", ["abs", "rel"])
@pytest.mark.parametrize("steps", [3, 7, 12, 60])
@on_all
def test_solution(name, steps, mode):
    """Before convergence and after; the traces start with a placeholder and leave out Anderson's two plain steps."""
    cell = Cell()
    theirs = torchdeq.get_deq(f_solver=name, f_max_iter=steps, f_tol=1e-6, f_stop_mode=mode).eval()
    z, info = theirs(cell, cell.start)
    solver = SOLVERS[name](max_steps=steps, tolerance=1e-6, mode=MODES[mode], converged="continue")
    ours = solver.solve(cell.map, (cell.start,))
    torch.testing.assert_close(ours.z[0], z[-1])
    assert ours.stats.best_step.tolist() == info["nstep"].tolist()
    for key in ("abs", "rel"):
        trace = getattr(ours.stats, f"{key}_trace")[:, 2 if name == "anderson" else 0 :]
        torch.testing.assert_close(trace, info[f"{key}_trace"][:, 1 : 1 + trace.shape[1]], rtol=1e-5, atol=1e-12)


@on_all
def test_implicit_gradient(name):
    cell = Cell()
    limits = {"f_max_iter": 300, "b_max_iter": 300, "f_tol": 1e-11, "b_tol": 1e-11}
    theirs = torchdeq.get_deq(f_solver="broyden", b_solver=name, ift=True, **limits)
    (z,), _ = theirs(cell, cell.start)
    # Its ridge keeps Anderson from a residual as small as this.
    backward = FixedPoint if name == "anderson" else SOLVERS[name]
    solver = Broyden(max_steps=300, tolerance=1e-11)
    gradient = ImplicitGradient(solver=backward(max_steps=300, tolerance=1e-11))
    ours = DEQ(solver=solver, gradient=gradient).forward_train(cell.map, (cell.start,)).states[-1][0]
    torch.testing.assert_close(ours, z)
    torch.testing.assert_close(cell.gradients(ours), cell.gradients(z), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("steps", "tau"), [(1, 1.0), (3, 1.0), (4, 0.6)])
@on_all
def test_phantom_gradient(name, steps, tau):
    cell = Cell()
    theirs = torchdeq.get_deq(f_solver=name, f_max_iter=8, f_tol=1e-9, grad=steps, tau=tau)
    (z,), _ = theirs(cell, cell.start)
    solver = SOLVERS[name](max_steps=8, tolerance=1e-9, converged="continue")
    ours = DEQ(solver=solver, gradient=PhantomGradient(steps=steps, tau=tau)).forward_train(cell.map, (cell.start,))
    torch.testing.assert_close(ours.states[-1][0], z)
    torch.testing.assert_close(cell.gradients(ours.states[-1][0]), cell.gradients(z))


@pytest.mark.parametrize(
    ("core", "corrections"), [("sliced", SegmentedCorrection(count=3)), ("indexing", IndexedCorrection(count=3))]
)
def test_supervised_states(core, corrections):
    cell = Cell()
    theirs = torchdeq.get_deq(core=core, f_solver="fixed_point_iter", f_max_iter=12, f_tol=1e-9, n_states=3, grad=2)
    z, _ = theirs(cell, cell.start)
    deq = DEQ(
        solver=FixedPoint(max_steps=12, tolerance=1e-9, converged="continue"),
        gradient=PhantomGradient(steps=2),
        corrections=corrections,
    )
    ours = deq.forward_train(cell.map, (cell.start,)).states
    for (state,), published in zip(ours, z, strict=True):
        torch.testing.assert_close(state, published)
        torch.testing.assert_close(cell.gradients(state), cell.gradients(published))
