"""The solvers against what the published implementations of DEQ-Flow and DeltaDEQ compute on small maps."""

from typing import Any

import pytest
import torch
from support import golden
from torch import Tensor

from flowbench.deq import Anderson, Broyden, Damped, FixedPoint, Map, Solution

SOLVERS = {"naive_solver": FixedPoint, "anderson": Anderson, "broyden": Broyden}
MODES = {"abs": "absolute", "rel": "relative"}
DTYPES = {"f64": torch.float64, "f32": torch.float32}
PLACEHOLDER = 1e8

CASES = [golden.case(name) for name in ("util_solvers_naive_anderson", "util_solvers_broyden")]
RESULTS = [
    pytest.param(case, result, id="-".join(str(result[key]) for key in ("dtype", "solver", "map", "rho")))
    for case in CASES
    for result in case["results"]
]
PRECISE = [result for result in RESULTS if "f64" in result.id]


def precise(figures: list) -> Tensor:
    return torch.tensor(figures, dtype=torch.float64)


def is_stale(result: dict[str, Any]) -> bool:
    """The published plain iteration keeps an early state once the residual has grown by more than 1."""
    return result["solver"] == "naive_solver" and result["rho"] > 1


def problem(case: dict[str, Any], result: dict[str, Any]) -> tuple[Map, tuple[Tensor]]:
    width, size, dtype = case["D"], case["B"], DTYPES[result["dtype"]]
    matrix = result["rho"] * golden.drawn("toyA", (width, width), torch.float64) / width**0.5
    scale = torch.arange(1, 2 * size, 2, dtype=torch.float64)[:, None]
    offset = golden.drawn("toyb", (size, width), torch.float64) * scale
    matrix, offset = matrix.to(dtype), offset.to(dtype)
    activation = torch.tanh if result["map"] == "tanh" else torch.nn.Identity()
    return lambda state: (activation(state[0] @ matrix.T + offset),), (torch.zeros(size, width, dtype=dtype),)


def solved(case: dict[str, Any], result: dict[str, Any]) -> Solution:
    solver = SOLVERS[result["solver"]](
        max_steps=1 if is_stale(result) else result["threshold"],
        tolerance=result["eps"],
        mode=MODES[result["stop_mode"]],
        converged="continue",
    )
    # Broyden's published states are those of the step before.
    behind = 1 if result["solver"] == "broyden" else 0
    return solver.solve(*problem(case, result), [step - behind for step in result["indexing"]])


@pytest.mark.parametrize(("case", "result"), RESULTS)
def test_solution(case, result):
    z = solved(case, result).z[0].double()
    share = case["tolerance"][f"rel_{result['dtype']}"]
    tolerance = {"rtol": share, "atol": share}
    torch.testing.assert_close(z[:, :8], precise(result["result_first8"]), **tolerance)
    torch.testing.assert_close(z.norm(dim=1), precise(result["result_norm"]), **tolerance)


@pytest.mark.parametrize(("case", "result"), PRECISE)
def test_residuals_and_steps(case, result):
    stats, published = solved(case, result).stats, result["info"]
    assert stats.best_step.tolist() == published["nstep"]
    # The published lowest value of the other measure may be from another step.
    decisive = result["stop_mode"]
    lowest = precise(published[f"{decisive}_lowest"])
    torch.testing.assert_close(getattr(stats, f"{decisive}_residual"), lowest, rtol=1e-7, atol=1e-15)
    for name in ("abs", "rel"):
        assert_same_trace(getattr(stats, f"{name}_trace"), published[f"{name}_trace"], result["solver"] == "anderson")


def assert_same_trace(ours: Tensor, published: list[list[float]], skips_plain_steps: bool) -> None:
    """The published traces start with a placeholder, leave out Anderson's first two steps, and go on with the lowest value
    after an early stop."""
    theirs, ours = precise(published[1:]).T, ours[:, 2:] if skips_plain_steps else ours
    assert published[0][0] == PLACEHOLDER
    torch.testing.assert_close(ours, theirs[:, : ours.shape[1]], rtol=1e-7, atol=1e-15)


@pytest.mark.parametrize(("case", "result"), [each for each in PRECISE if not is_stale(each.values[1])])
def test_states_on_the_way(case, result):
    states = solved(case, result).states[: result["n_indexing_states"]]
    norms = torch.stack([state[0].norm(dim=1) for state in states])
    torch.testing.assert_close(norms, precise(result["indexing_norms"]), rtol=1e-7, atol=0)


DELTA = golden.case("km_solver")
RUNS = [run for run in DELTA["runs"] if run["kwargs"].get("return_final", True)]


def delta_map(state: tuple[Tensor]) -> tuple[Tensor]:
    i = torch.arange(DELTA["D"], dtype=torch.float64)
    matrix = DELTA["gain"] * torch.sin(1.3 * i[:, None] + 0.7 * i * (1 + 0.1 * i[:, None]))
    offset = 0.5 * torch.cos(i + 2 * torch.arange(DELTA["B"], dtype=torch.float64)[:, None])
    return (torch.tanh(state[0] @ matrix.T + offset),)


@pytest.mark.parametrize("run", RUNS, ids=[f"{run['kwargs']['f_alpha']}-{run['kwargs']['eps']}" for run in RUNS])
def test_damped_iteration(run):
    args = run["kwargs"]
    solver = Damped(
        max_steps=args["threshold"],
        tolerance=args["eps"],
        mode=MODES[args["stop_mode"]],
        damping=args["f_alpha"],
        converged="continue",
    )
    start = torch.zeros(DELTA["B"], DELTA["D"], dtype=torch.float64)
    solution = solver.solve(delta_map, (start,), args.get("indexing", ()))
    tolerance = {"rtol": DELTA["tolerance"]["rel_f64"], "atol": 1e-9}
    torch.testing.assert_close(solution.z[0], precise(run["x"]), **tolerance)
    for state, published in zip(solution.states, run["indexing_list"], strict=True):
        torch.testing.assert_close(state[0], precise(published), **tolerance)
    assert solution.stats.steps.tolist() == run["nstep"]
    assert_same_trace(solution.stats.abs_trace, run["abs_trace"], skips_plain_steps=False)
    assert_same_trace(solution.stats.rel_trace, run["rel_trace"], skips_plain_steps=False)
