import dataclasses

import pytest
import torch
from support import golden
from support.official import (
    assert_full_resolution,
    assert_gradient_norms,
    estimate,
    freeze_batch_norm,
    official_model,
    training_batch,
)
from torch.utils.flop_counter import FlopCounterMode

import flowbench
from flowbench.errors import FlowBenchError
from flowbench.objectives import SequenceLoss

SIZES = {"base": "b", "B": "b", "tiny": "tiny", "large": "l", "huge": "h"}
SOLVERS = {"naive_solver": "fixed_point", "anderson": "anderson", "broyden": "broyden"}
MODES = {"abs": "absolute", "rel": "relative"}

CASES = [
    "deq1_B_anderson12",
    "deq1_base_nown_broyden12",
    "deq2_base_anderson12",
    "deq2_base_batch2_naive12",
    "deq2_base_evalfactor",
    "deq2_base_gma_naive12",
    "deq2_base_naive12",
    "deq2_base_wn_anderson12_rel",
    "deq2_base_wn_naive12",
    "deq2_base_wn_naive_earlystop",
    "deq2_huge_wn_naive12",
    "deq2_large_naive12",
    "deq2_tiny_naive12",
    "deq2_tiny_wn_naive12",
]


def solver_overrides(case: dict) -> list[str]:
    args = case["args"]
    version1 = case["kind"].startswith("deq_flow_v1")
    mode = args["stop_mode" if version1 else "f_stop_mode"]
    solver = SOLVERS[args["f_solver"]] + ("_v1" if version1 and args["f_solver"] == "anderson" else "")
    return [
        f"solver={solver}",
        f"network.deq.solver.max_steps={args['f_thres']}",
        f"network.deq.solver.tolerance={1e-3 if version1 else args['f_eps']}",
        f"network.deq.solver.mode={MODES[mode]}",
        "network.deq.solver.converged=continue",
        f"network.deq.eval_factor={args['eval_factor']}",
    ]


def deqflow_model(case: dict, folder):
    weights = case["model"].removeprefix("models/").removesuffix(".json")
    size = SIZES[weights.split("_")[1]]
    return official_model(f"deqflow_{size}", weights, folder, solver_overrides(case))


def pair_of(case: dict, name: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = (golden.image(f"{name}_{number}", dtype) for number in (1, 2))
    # The batch of two holds the pair forwards and backwards.
    return (torch.cat([first, second]), torch.cat([second, first])) if "batch" in case else (first, second)


@pytest.mark.parametrize("name", CASES)
def test_flow_equals_the_published_implementation(name, tmp_path):
    case = golden.case(name)
    model = deqflow_model(case, tmp_path)
    for pair, expected in case["outputs"].items():
        if pair not in ("A", "S"):
            continue
        tolerance = expected["tolerance"]
        output = model.float().estimate(*pair_of(case, pair, torch.float32))
        difference = output.reuse.flow - golden.array(f"{name}/{pair}_flow_low.npy")
        assert difference.abs().max() < tolerance["flow_low_abs_f32"]
        assert_full_resolution(output.flow, expected["files"], tolerance["flow_up_abs_f32"])

        output = model.double().estimate(*pair_of(case, pair, torch.float64))
        difference = output.reuse.flow - golden.array(f"{name}/{pair}_flow_low_f64.npy")
        assert difference.abs().max() < tolerance["flow_low_abs_f64"]
        assert_same_trace(output.stats, expected["solver_f64"]["abs_trace"])


def assert_same_trace(stats: dict[str, torch.Tensor], published: list) -> None:
    """The published traces start with a placeholder in v2, leave out Anderson's two plain steps, and repeat their lowest
    value after an early stop, v1 Broyden's once more at the end."""
    published = torch.tensor([row if isinstance(row, list) else [row] for row in published], dtype=torch.float64)
    published = published[published[:, 0] < 1e8]
    trace = stats["abs_trace"].T
    plain = trace.shape[0] - published.shape[0] if trace.shape[0] > published.shape[0] else 0
    count = min(trace.shape[0] - plain, published.shape[0])
    assert count > 0
    torch.testing.assert_close(trace[plain:][:count], published[:count], rtol=1e-7, atol=1e-14)


def test_the_published_solver_keeps_a_stale_iterate_on_a_full_frame(tmp_path):
    """Its state 4 of 12 was returned: our state after 4 steps is compared."""
    case = golden.case("deq2_base_naive12")
    model = deqflow_model(case, tmp_path)
    model.set_iterations(4)
    assert_full_frame(model, case)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["deq2_tiny_wn_naive12", pytest.param("deq2_huge_wn_naive12", marks=pytest.mark.exhaustive)]
)
def test_flow_of_a_full_frame(name, tmp_path):
    case = golden.case(name)
    assert_full_frame(deqflow_model(case, tmp_path), case)


def assert_full_frame(model, case: dict) -> None:
    """1024x436, padded inside: the figures are those of the unpadded flow."""
    expected = case["outputs"]["FULL"]
    frames = [flowbench.io.read_image(golden.ASSETS / "sintel" / f"frame_00{number}.png") for number in (16, 17)]
    flow = model.estimate(*frames).flow[0].double()
    figures, grid = expected["flow_up"], expected["flow_up_grid16"]
    assert flow.mean().item() == pytest.approx(figures["mean"], rel=1e-3)
    assert flow.std(correction=0).item() == pytest.approx(figures["std"], rel=1e-3)
    sampled = flow[:, torch.tensor(grid["ys"])][:, :, torch.tensor(grid["xs"])]
    assert (sampled - torch.tensor([grid["u"], grid["v"]], dtype=torch.float64)).abs().max() < 5e-2


@pytest.mark.parametrize("name", [name for name in CASES if "C" in golden.case(name)["outputs"]])
def test_flow_of_a_picture_that_may_not_be_shipped(name, tmp_path):
    folder = golden.SHARED / "golden" / "flow"
    if not folder.is_dir():
        pytest.skip("the reference input C is not part of the project")
    case = golden.case(name)
    tolerance = case["outputs"]["C"]["tolerance"]
    model = deqflow_model(case, tmp_path)
    output = estimate(model, "C", torch.float32, folder)
    assert_full_resolution(output.flow, case["outputs"]["C"]["files"], tolerance["flow_up_abs_f32"], folder)
    output = estimate(model, "C", torch.float64, folder)
    difference = output.reuse.flow - golden.array(f"{name}/C_flow_low_f64.npy", folder)
    assert difference.abs().max() < tolerance["flow_low_abs_f64"]


@pytest.mark.parametrize(("warm", "published"), [("flow", "warm"), ("state", "reuse")])
def test_video(warm, published, tmp_path):
    case = golden.case("deq2_base_wn_warmstart")
    model = deqflow_model(case, tmp_path)
    model.network.warm = warm
    first = estimate(model, "A", torch.float32)
    images = [golden.image(f"A2_{number}", torch.float32) for number in (1, 2)]
    second = model.estimate(*images, reuse=first.reuse)
    off = (second.reuse.flow - golden.array(f"deq2_base_wn_warmstart/{published}_flow_low.npy")).abs() > 0.002
    assert off.float().mean() < 0.01


VARIANTS = [
    (name, variant) for name in ("train_deq2_tiny", "train_deq2_tiny_wn") for variant in golden.case(name)["variants"]
]


def training_overrides(args: dict) -> list[str]:
    overrides = [
        f"network.deq.solver.max_steps={args['f_thres']}",
        f"network.deq.corrections.count={args['n_losses']}",
        f"network.through_coords={args['all_grad']}",
        f"corrections={'indexing' if args['indexing_core'] else 'sliced'}",
    ]
    if not args["ift"]:
        return [
            *overrides,
            f"network.deq.gradient.steps={args['phantom_grad'][0]}",
            f"network.deq.gradient.tau={args['tau']}",
            f"network.deq.gradient.supervise_all={args['sup_all']}",
        ]
    backward = {"naive_solver": "FixedPoint", "anderson": "Anderson", "broyden": "Broyden"}[args["b_solver"]]
    return [
        *overrides,
        "gradient=implicit",
        f"network.deq.gradient.safe={args['safe_ift']}",
        f"network.deq.gradient.solver._target_=flowbench.deq.{backward}",
        f"network.deq.gradient.solver.max_steps={args['b_thres']}",
        "network.deq.gradient.solver.mode=absolute",
        f"network.deq.gradient.solver.tolerance={args['b_eps']}",
    ]


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_loss_and_gradients_equal_the_published_implementation(name, variant, tmp_path):
    (pair,) = golden.case(name)["inputs"]
    case = golden.case(name)["variants"][variant]
    weights = case["model"].removeprefix("models/").removesuffix(".json")
    model = official_model("deqflow_tiny", weights, tmp_path, training_overrides(case["args"]))
    for precision, dtype in (("f32", torch.float32), ("f64", torch.float64)):
        model.to(dtype).network.train()
        model.zero_grad()
        freeze_batch_norm(model)
        batch = training_batch(dtype, pair)
        output = model.network(batch.image1, batch.image2)
        loss = SequenceLoss(gamma=0.8)(output, batch).total
        loss.backward()
        assert loss.item() == pytest.approx(case[precision]["loss"], rel=case["tolerance"][f"loss_rel_{precision}"])
        names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        assert_gradient_norms(model, case, precision, names)


@pytest.mark.parametrize(
    ("weights", "name", "parameters"),
    [
        ("deq1_huge_wn", "deqflow_h", 12_799_808),
        ("deq2_huge_old_wn", "deqflow_h", 12_799_808),
        ("deq2_huge", "deqflow_h", 13_391_168),
        ("deq2_large_wn", "deqflow_l", 8_673_664),
        ("deq2_gigantic_wn", "deqflow_g", 23_248_960),
        ("deq2_huge_gma_wn", "deqflow_h", 15_557_697),
        ("deq2_base_gma_wn", "deqflow_b", 5_783_617),
        ("deq1_base", "deqflow_b", 5_241_024),
    ],
)
def test_official_files_of_every_size_and_version_load(weights, name, parameters, tmp_path):
    model = official_model(name, weights, tmp_path)
    assert sum(parameter.numel() for parameter in model.network.parameters()) == parameters
    assert model.settings["model"]["network"]["size"] == name.removeprefix("deqflow_")


def test_a_checkpoint_of_another_size_is_refused(tmp_path):
    with pytest.raises(FlowBenchError, match="holds the model 'deqflow_b', but model=deqflow_h"):
        official_model("deqflow_h", "deq1_base_wn", tmp_path)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("tiny", 2_490_976), ("b", 5_242_816), ("l", 8_673_664), ("h", 13_394_752), ("g", 23_248_960)],
)
def test_parameter_count(name, parameters):
    network = flowbench.load(f"deqflow_{name}", None).network
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize(("name", "hidden", "encoders", "step"), [("b", 128, 183.5, 37.7), ("h", 256, 183.7, 148.0)])
def test_multiplications_agree_with_the_published_count(name, hidden, encoders, step):
    """GFLOPs (2 x MAC), published for 440x1024, at fewer pixels; less what is computed once a pair."""
    height, width, steps = 64, 96, 3
    positions = height * width // 64
    scale = positions / (55 * 128)
    levels = sum((height >> level) * (width >> level) for level in range(3, 7))
    correlation = 2e-9 * positions * levels * 256
    mask = 2e-9 * positions * (hidden * 256 * 9 + 256 * 576)
    context_share = 2e-9 * positions * hidden * (6 * 5) * hidden
    expected = scale * (encoders + steps * step) + correlation + mask - (steps - 1) * context_share
    network = flowbench.load(f"deqflow_{name}", None, [f"network.deq.eval_steps={steps}"]).network
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*torch.rand(2, 1, 3, height, width))
    assert counter.get_total_flops() / 1e9 == pytest.approx(expected, rel=0.02)


def test_converged_pairs_may_leave_the_batch():
    """Dropped pairs end where frozen ones do; correlation, context and attention go along."""
    images = torch.rand(2, 3, 3, 64, 64)
    model = flowbench.load("deqflow_tiny", None, ["network.gma=true", "network.deq.eval_steps=6"])
    torch.nn.init.ones_(model.network.update_block.gma.gamma)
    whole = model.network.deq
    # At the third step, one of the three is below the tolerance, one on it, one above.
    tolerance = model.estimate(*images).stats["abs_trace"][:, 2].median().item()
    found = {}
    for converged in ("freeze", "drop"):
        solver = dataclasses.replace(whole.solver, tolerance=tolerance, converged=converged)
        model.network.deq = dataclasses.replace(whole, solver=solver)
        found[converged] = model.estimate(*images)
    steps = found["freeze"].stats["steps"]
    assert steps.min() == 3 < steps.max()
    assert torch.equal(steps, found["drop"].stats["steps"])
    torch.testing.assert_close(found["drop"].flow, found["freeze"].flow, rtol=1e-4, atol=1e-3)
