import pytest
import torch
from support import golden
from support.official import (
    assert_full_resolution,
    assert_gradient_norms,
    freeze_batch_norm,
    official_model,
    training_batch,
)
from torch.utils.flop_counter import FlopCounterMode

import flowbench
from flowbench.errors import FlowBenchError
from flowbench.metrics import sample_sums
from flowbench.models.base import FlowModel
from flowbench.objectives import SequenceLoss

CASES = {
    "raft_large_12": ("raft", "raft_large", 5_257_536),
    "raft_small_12": ("raft_small", "raft_small", 990_162),
    "raft_h_candidate_B": ("raft_h", "raft_h_candidate_B", 13_424_192),
}


def raft_model(case: str, tmp_path, iterations: int = 12) -> FlowModel:
    name, weights, _ = CASES[case]
    counts = [f"network.iterations={iterations}", f"network.eval_iterations={iterations}"]
    return official_model(name, weights, tmp_path, counts)


@pytest.mark.parametrize("case", CASES)
def test_parameter_count(case):
    name, _, parameters = CASES[case]
    assert sum(parameter.numel() for parameter in flowbench.load(name, None).network.parameters()) == parameters


@pytest.mark.parametrize(
    ("case", "correlation"),
    [
        *((case, "all_pairs") for case in CASES),
        *((case, "on_demand") for case in ("raft_large_12", "raft_small_12")),
        pytest.param("raft_h_candidate_B", "on_demand", marks=pytest.mark.exhaustive),
    ],
)
def test_flow_equals_the_published_implementation(case, correlation, tmp_path):
    model = raft_model(case, tmp_path)
    model.network.correlation = correlation
    for name, expected in golden.case(case)["outputs"].items():
        if name not in ("A", "S"):
            continue
        tolerance = expected["tolerance"]
        output = model.float().estimate(
            golden.image(f"{name}_1", torch.float32), golden.image(f"{name}_2", torch.float32)
        )
        low = golden.array(f"{case}/{name}_flow_low.npy")
        assert (output.reuse - low).abs().max() < tolerance["flow_low_abs_f32"]
        assert_full_resolution(output.flow, expected["files"], tolerance["flow_up_abs_f32"])

        output = model.double().estimate(
            golden.image(f"{name}_1", torch.float64), golden.image(f"{name}_2", torch.float64)
        )
        exact = golden.array(f"{case}/{name}_flow_low_f64.npy")
        assert (output.reuse - exact).abs().max() < tolerance["flow_low_abs_f64"]


def test_flow_of_a_picture_that_may_not_be_shipped(tmp_path):
    folder = golden.SHARED / "golden" / "flow"
    if not folder.is_dir():
        pytest.skip("the reference input C is not part of the project")
    tolerance = golden.case("raft_large_12")["outputs"]["C"]["tolerance"]
    model = raft_model("raft_large_12", tmp_path)
    output = model.estimate(*(golden.image(name, torch.float32, folder) for name in ("C_1", "C_2")))
    difference = output.flow[..., ::3, ::3] - golden.array("raft_large_12/C_flow_up_s3.npy", folder)
    assert difference.abs().max() < tolerance["flow_up_abs_f32"]
    output = model.double().estimate(*(golden.image(name, torch.float64, folder) for name in ("C_1", "C_2")))
    exact = golden.array("raft_large_12/C_flow_low_f64.npy", folder)
    assert (output.reuse - exact).abs().max() < tolerance["flow_low_abs_f64"]


@pytest.mark.slow
def test_flow_of_a_full_frame(tmp_path):
    """1024x436, padded inside: the figures are those of the unpadded flow."""
    expected = golden.case("raft_large_12")["outputs"]["FULL"]
    model = raft_model("raft_large_12", tmp_path)
    frames = [flowbench.io.read_image(golden.ASSETS / "sintel" / f"frame_00{number}.png") for number in (16, 17)]
    flow = model.estimate(*frames).flow[0].double()
    figures = expected["flow_up"]
    assert list(flow.shape) == figures["shape"][1:]
    assert flow.mean().item() == pytest.approx(figures["mean"], rel=1e-3)
    assert flow.std(correction=0).item() == pytest.approx(figures["std"], rel=1e-3)
    grid = expected["flow_up_grid16"] if "flow_up_grid16" in expected else expected["grid16"]
    ys, xs = torch.tensor(grid["ys"]), torch.tensor(grid["xs"])
    sampled = flow[:, ys][:, :, xs]
    assert (sampled - torch.tensor([grid["u"], grid["v"]], dtype=torch.float64)).abs().max() < 5e-2


def test_every_prediction_of_a_sequence(tmp_path):
    case = golden.case("raft_large_sequence")
    model = raft_model("raft_large_12", tmp_path, iterations=6)
    model.network.train()
    freeze_batch_norm(model)
    images = [golden.image(name, torch.float32) for name in ("A_1", "A_2")]
    with torch.no_grad():
        predictions = model.network(*images).predictions
    assert len(predictions) == len(case["predictions"])
    for prediction, expected in zip(predictions, case["predictions"]):
        grid = expected["grid16"]
        sampled = prediction[0][:, torch.tensor(grid["ys"])][:, :, torch.tensor(grid["xs"])]
        assert (sampled - torch.tensor([grid["u"], grid["v"]])).abs().max() < case["tolerance"]["grid_abs"]


def test_warm_start(tmp_path):
    model = raft_model("raft_large_12", tmp_path, iterations=4)
    images = [golden.image(name, torch.float32) for name in ("A_1", "A_2")]
    first = model.estimate(*images)
    second = model.estimate(*images, reuse=first.reuse)
    off = (second.reuse - golden.array("raft_large_sequence/warm_flow_low.npy")).abs() > 0.005
    assert off.float().mean() < 0.01


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_loss_and_gradients_equal_the_published_implementation(precision, tmp_path):
    case = golden.case("train_raft_large")
    dtype = {"f32": torch.float32, "f64": torch.float64}[precision]
    model = raft_model("raft_large_12", tmp_path, iterations=4).to(dtype)
    model.network.train()
    freeze_batch_norm(model)
    batch = training_batch(dtype)
    output = model.network(batch.image1, batch.image2)
    loss = SequenceLoss(gamma=0.8)(output, batch).total
    loss.backward()

    tolerance, expected = case["tolerance"], case[precision]
    assert loss.item() == pytest.approx(expected["loss"], rel=tolerance[f"loss_rel_{precision}"])
    total, count = sample_sums(output.flow.detach(), batch)["epe"]
    assert (total / count).item() == pytest.approx(expected["metrics"]["epe"], rel=1e-5)
    assert_gradient_norms(model, case, precision, {"mask.": "update_block.mask."})


def test_multiplications_agree_with_the_published_count():
    """GFLOPs (2 x MAC) at 440x1024: RAFT's encoders, correlation and steps, less what is computed once a pair."""
    positions = 55 * 128
    encoders, correlation, step = 183.5, 25.4, 37.7
    wider_context = 2e-9 * positions * 128 * 128  # cnet gives the hidden state, too
    mask = 2e-9 * positions * (128 * 256 * 9 + 256 * 576)
    pooled_levels = correlation * (27 * 64 + 13 * 32 + 6 * 16) / positions
    context_share = 2e-9 * positions * 128 * (6 * 5) * 128
    iterations = 3
    expected = encoders + wider_context + correlation + pooled_levels + iterations * step + mask
    expected -= (iterations - 1) * context_share
    network = flowbench.load("raft", None, [f"network.eval_iterations={iterations}"]).network
    images = torch.zeros(2, 1, 3, 440, 1024, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.to("meta")(images[0], images[1])
    assert counter.get_total_flops() / 1e9 == pytest.approx(expected, rel=0.02)


def test_a_picture_below_the_pyramid_is_refused():
    model = flowbench.load("raft_small", None, ["network.eval_iterations=1"])
    with pytest.raises(FlowBenchError, match="5x5 pixels is too small"):
        model.estimate(torch.zeros(3, 5, 5), torch.zeros(3, 5, 5))


@pytest.mark.parametrize("side", [57, 64, 100, 127])
def test_small_sizes_give_finite_flow(side):
    model = flowbench.load("raft_small", None, ["network.eval_iterations=2"])
    flow = model.estimate(torch.rand(3, side, 70), torch.rand(3, side, 70)).flow
    assert flow.shape == (1, 2, side, 70)
    assert flow.isfinite().all()


def test_the_context_share_is_computed_once_and_exactly():
    """The recurrent unit with the context's share added up beforehand equals the plain one."""
    from flowbench.networks.update import SepConvGRU

    gru = SepConvGRU(hidden=8, inputs=6 + 5).double()
    hidden, context, motion = (torch.randn(2, channels, 9, 7, dtype=torch.float64) for channels in (8, 6, 5))
    expected = hidden
    for number in (1, 2):
        inputs = torch.cat([context, motion], dim=1)
        z = torch.sigmoid(gru.get_submodule(f"convz{number}")(torch.cat([expected, inputs], dim=1)))
        r = torch.sigmoid(gru.get_submodule(f"convr{number}")(torch.cat([expected, inputs], dim=1)))
        q = torch.tanh(gru.get_submodule(f"convq{number}")(torch.cat([r * expected, inputs], dim=1)))
        expected = (1 - z) * expected + z * q
    torch.testing.assert_close(gru(hidden, motion, gru.prepare(context)), expected, rtol=1e-12, atol=1e-12)
