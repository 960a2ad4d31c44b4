import numpy as np
import pytest
import torch
from support import golden
from support.official import assert_gradient_norms, estimate, official_model, training_batch
from torch.utils.flop_counter import FlopCounterMode

import flowbench
from flowbench.checkpoints.official import fastflownet_name
from flowbench.models.base import FlowModel
from flowbench.networks.fastflownet import DISPLACEMENTS
from flowbench.objectives import MultiLevelLoss

WEIGHTS = "fastflownet_v2"
CASE = golden.case("ffn_eval")
LEVELS = (2, 3, 4, 5, 6)


@pytest.fixture
def model(tmp_path) -> FlowModel:
    """As published: `flowbench.load` finds out that the file's features are of any length."""
    model = official_model("fastflownet", WEIGHTS, tmp_path)
    assert not model.network.unit_features
    return model


def finest(model: FlowModel, pair: str, dtype: torch.dtype, folder=golden.GOLDEN) -> torch.Tensor:
    """Flow at 1/4 resolution in the network's units."""
    images = [golden.image(f"{pair}_{number}", dtype, folder) for number in (1, 2)]
    with torch.no_grad():
        return model.to(dtype).train().network(*images).predictions[0]


def grid(flow: torch.Tensor, expected: dict) -> float:
    """The largest difference to the published values on a grid."""
    sampled = flow[0][:, torch.tensor(expected["ys"])][:, :, torch.tensor(expected["xs"])]
    return (sampled - torch.tensor([expected["u"], expected["v"]])).abs().max().item()


def test_parameter_count():
    network = flowbench.load("fastflownet", None).network
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_366_114


def test_multiplications_agree_with_the_published_count():
    network = flowbench.load("fastflownet", None).network.to("meta")
    images = torch.zeros(2, 1, 3, 448, 1024, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*images)
    assert counter.get_total_flops() / 2e9 == pytest.approx(12.587, rel=0.01)


def test_the_pattern_of_displacements_is_the_published_one():
    index = [(dy + 4) * 9 + dx + 4 for dy, dx in DISPLACEMENTS]
    assert index == golden.case("ffn_units")["cddc_index"]
    assert len(index) == 53


@pytest.mark.parametrize("pair", ["A", "S", "C"])
def test_flow_equals_the_published_implementation(model, pair):
    folder = golden.GOLDEN
    if pair == "C":  # An input that may not be shipped.
        folder = golden.SHARED / "golden" / "flow"
        if not folder.is_dir():
            pytest.skip("the reference input C is not part of the project")
    expected = CASE["outputs"][pair]
    tolerance = expected["tolerance"]
    exact = golden.array(f"ffn_eval/{pair}_flow2_f64.npy")
    assert (finest(model, pair, torch.float64, folder) - exact).abs().max() < tolerance["flow2_abs_f64"]
    single = golden.array(f"ffn_eval/{pair}_flow2.npy")
    assert (finest(model, pair, torch.float32, folder) - single).abs().max() < tolerance["flow2_abs_f32"]
    flow = estimate(model, pair, torch.float32, folder).flow
    assert grid(flow, expected["flow_grid16"]) < tolerance["flow_abs_f32"]


def test_every_level_equals_the_published_implementation(model):
    folder = golden.SHARED / "golden" / "flow"
    if not folder.is_dir():
        pytest.skip("the reference input C is not part of the project")
    images = [golden.image(f"C_{number}", torch.float32, folder) for number in (1, 2)]
    with torch.no_grad():
        predictions = model.train().network(*images).predictions
    for level, prediction in zip(LEVELS, predictions, strict=True):
        expected = golden.array(f"ffn_eval/C_train_flow{level}.npy")
        assert (prediction - expected).abs().max() < 5e-4


def test_flow_of_a_full_frame(model):
    """1024x436: enlarged to 448 rows, and the flow brought back. The mean that is taken off is that of the pictures as they
    are, not of the enlarged ones, which would change the flow by up to 0.004 px."""
    expected = CASE["outputs"]["FULL"]
    frames = [flowbench.io.read_image(golden.ASSETS / "sintel" / f"frame_00{number}.png") for number in (16, 17)]
    flow = model.estimate(*frames).flow
    assert grid(flow, expected["flow_grid16"]) < 5e-4
    assert flow.double().mean().item() == pytest.approx(expected["flow"]["mean"], rel=1e-6)
    assert flow.double().std(correction=0).item() == pytest.approx(expected["flow"]["std"], rel=1e-6)


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_loss_and_gradients_equal_the_published_implementation(model, precision):
    published = golden.case("ffn_grad")
    dtype = {"f32": torch.float32, "f64": torch.float64}[precision]
    batch = training_batch(dtype)
    model.to(dtype).train()
    loss = model.objective(model.network(batch.image1, batch.image2), batch).total
    loss.backward()
    expected, tolerance = published["outputs"], {**published["tolerance"], "skipped": [], "loss_rel_f64": 1e-8}
    assert loss.item() == pytest.approx(expected[precision]["loss"], rel=tolerance["loss_rel"])
    names = {fastflownet_name(name): name for name in golden.official_state(WEIGHTS)}
    case = {"tolerance": tolerance, **expected}
    assert_gradient_norms(model, case, precision, names)


def test_the_default_objective_is_the_published_one():
    assert flowbench.load("fastflownet", None).objective == MultiLevelLoss(weights=[0.005, 0.01, 0.02, 0.08, 0.32])


def test_unit_features_make_the_correlation_a_cosine():
    """Scaling one picture's features leaves the flow as it is."""
    network = flowbench.load("fastflownet", None).network.double()
    features = torch.rand(1, 64, 5, 6, dtype=torch.float64), torch.rand(1, 64, 5, 6, dtype=torch.float64)
    assert torch.allclose(network.correlation(*features), network.correlation(features[0], 7 * features[1]))
    centre = DISPLACEMENTS.index((0, 0))
    cosine = torch.nn.functional.cosine_similarity(*features)
    torch.testing.assert_close(network.correlation(*features)[:, centre], cosine)


@pytest.mark.parametrize("size", [(64, 64), (65, 130), (33, 200)])
def test_any_size_gives_finite_flow(size):
    flow = flowbench.load("fastflownet", None).estimate(torch.rand(3, *size), torch.rand(3, *size)).flow
    assert flow.shape == (1, 2, *size)
    assert flow.isfinite().all()


def test_a_longer_side_scales_only_its_own_component(model):
    """An estimate is that of the pictures without their mean, enlarged: here from 48 rows to 64."""
    generator = np.random.default_rng(0)
    small = torch.from_numpy(generator.random((2, 3, 48, 64)))
    model.double()
    centred = small - small.mean(dim=(0, 2, 3), keepdim=True)
    enlarged = torch.nn.functional.interpolate(centred, (64, 64), mode="bilinear", align_corners=False)
    with torch.no_grad():
        reference = model.network(enlarged[:1], enlarged[1:], normalised=True).flow
    found = model.estimate(*small).flow
    back = torch.nn.functional.interpolate(reference, (48, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, back * torch.tensor([1.0, 48 / 64]).view(2, 1, 1))
