import hashlib

import pytest
import torch
import torch.nn.functional as F
from support import golden
from support.batches import shifted_noise
from support.models import short_model
from support.official import freeze_batch_norm, official_model
from torch import Tensor, nn

import flowbench
from flowbench.engine.benchmarks.measure import count_macs
from flowbench.errors import FlowBenchError
from flowbench.metrics import sample_sums
from flowbench.models.base import FlowModel
from flowbench.networks.lightflow import LightFlow
from flowbench.objectives import MultiLevelLoss
from flowbench.structures import FlowBatch, FlowOutput

WEIGHTS = {
    "lightflow_eval": "lightflow_w1",
    "lightflow_eval_gain": "lightflow_w1_gain1.5",
    "lightflow_train": "lightflow_w1",
}
SIZES = {
    "lightflow": (2_540_390, 411.49),
    "lightflow_075": (1_442_690, 240.86),
    "lightflow_05": (653_406, 115.85),
}
PRECISIONS = {"f32": torch.float32, "f64": torch.float64}
HEIGHT, WIDTH = 192, 256


def published_model(case: str, precision: str, tmp_path) -> FlowModel:
    """In train mode, so that it gives its predictions; batch norm as the case has it."""
    model = official_model("lightflow", WEIGHTS[case], tmp_path).to(PRECISIONS[precision]).train()
    if golden.case(case)["mode"] == "eval":
        freeze_batch_norm(model)
    return model


def published_images(model: FlowModel, case: str) -> list[Tensor]:
    """The float64 figures, too, were computed on pictures that had been normalised in float32."""
    images, mean = [golden.image(f"L_{number}", torch.float32) for number in (1, 2)], LightFlow().mean
    normalised = torch.cat(images, dim=1) - mean
    assert hashlib.sha256(normalised.numpy().tobytes()).hexdigest() == golden.case(case)["input_sha256_f32"]
    if model.network.mean.dtype == torch.float32:
        return images
    return list((normalised.double() + model.network.mean).chunk(2, dim=1))


def full_resolution(quarter: Tensor) -> Tensor:
    return 20 * F.interpolate(quarter, scale_factor=4, mode="bilinear", align_corners=False)


def published_batch(model: FlowModel, case: str, sparse: bool = False) -> FlowBatch:
    image1, image2 = published_images(model, case)
    y, x = torch.meshgrid(torch.arange(HEIGHT).double(), torch.arange(WIDTH).double(), indexing="ij")
    u = 6 * torch.sin(2 * torch.pi * x / WIDTH) + 0.03 * y - 2
    v = 4 * torch.cos(2 * torch.pi * y / HEIGHT) - 0.02 * x + 1.5
    flow = torch.stack([u, v])[None].float() / 20
    left_out = (3 * x + 5 * y) % 7 < 3
    known = ~left_out[None] if sparse else torch.ones(1, HEIGHT, WIDTH, dtype=torch.bool)
    return FlowBatch(image1, image2, 20 * (flow * known).to(image1.dtype), known, ["L"])


def endpoint_error(output: FlowOutput, batch: FlowBatch) -> float:
    total, count = sample_sums(output.flow.detach(), batch)["epe"]
    return (total / count).item()


def everywhere(batch: FlowBatch) -> FlowBatch:
    """Pixels without truth as the public code has them: the truth there is zero."""
    return FlowBatch(batch.image1, batch.image2, batch.flow, torch.ones_like(batch.valid), batch.key)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("case", WEIGHTS)
def test_predictions_equal_the_published_implementation(case, precision, tmp_path):
    expected, model = golden.case(case), published_model(case, precision, tmp_path)
    found = {}
    for number, predictor in enumerate(model.network.predictors, start=12):
        predictor.register_forward_hook(lambda _, __, flow, name=f"conv{number}": found.update({name: flow.clone()}))
    with torch.no_grad():
        output = model.network(*published_images(model, case))

    tolerance, files = expected["tolerance"][f"out_abs_{precision}"], expected["files"]
    (average,) = output.predictions
    quarter = golden.array(files["output_f64" if precision == "f64" else "output"])
    assert (average - quarter).abs().max() < tolerance
    assert (output.flow - full_resolution(quarter)).abs().max() < 20 * tolerance
    for name, flow in found.items():
        rounding = expected["rounding_sensitivity"]["predictors_vs_f64"][name]["max_abs"]
        assert (flow - golden.array(files[name])).abs().max() < 20 * rounding, name
    assert set(found) == {f"conv{number}" for number in range(12, 17)}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("case", WEIGHTS)
def test_losses_equal_the_published_implementation(case, precision, tmp_path):
    expected, model = golden.case(case), published_model(case, precision, tmp_path)
    batch, sparse = published_batch(model, case), published_batch(model, case, sparse=True)
    with torch.no_grad():
        output = model.network(batch.image1, batch.image2)
        found = {
            "L1": model.objective(output, batch).total.item(),
            "L2": MultiLevelLoss([1.0], distance="l2", total="mean")(output, batch).total.item(),
            "L1_sparse": MultiLevelLoss([0.5], distance="l1", total="mean", pooling="extreme")(
                output, everywhere(sparse)
            ).total.item(),
            "epe": endpoint_error(output, batch),
            "epe_sparse": endpoint_error(output, sparse),
        }
    assert found == pytest.approx(expected["losses"][precision], rel=expected["tolerance"][f"loss_rel_{precision}"])


@pytest.mark.parametrize(("precision", "relative"), [("f32", 1e-3), ("f64", 1e-8)])
def test_gradients_equal_the_published_implementation(precision, relative, tmp_path):
    """These gradients magnify a rounding of the pictures' size 10,000 times, those of the public code, too."""
    case = golden.case("lightflow_train")
    model = published_model("lightflow_train", precision, tmp_path)
    batch = published_batch(model, "lightflow_train")
    model.objective(model.network(batch.image1, batch.image2), batch).total.backward()

    published = official_names()
    gradients = {published[name]: parameter.grad for name, parameter in model.network.named_parameters()}
    for name, expected in case["grad_of_L1"].items():
        assert gradients[name].norm().item() == pytest.approx(expected[f"norm_{precision}"], rel=relative), name
        if precision == "f64":
            first = gradients[name].flatten()[:4].tolist()
            assert first == pytest.approx(expected["first4_f64"], rel=1e-8, abs=1e-12), name
    total = torch.nn.utils.get_total_norm(gradients.values()).item()
    assert total == pytest.approx(case["grad_total_norm"][precision], rel=relative)


def official_names() -> dict[str, str]:
    """Our names of what the network holds -> the published ones, in whose order ours are registered."""
    return dict(
        zip(LightFlow(predictor_activation=True).state_dict(), golden.official_state("lightflow_w1"), strict=True)
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_running_statistics_follow_a_training_pass_and_rule_an_estimate(precision, tmp_path):
    case = golden.case("lightflow_train")
    model = published_model("lightflow_train", precision, tmp_path)
    with torch.no_grad():
        model.network(*published_images(model, "lightflow_train"))
    published = official_names()
    state = {published[name]: value for name, value in model.network.state_dict().items()}
    for name, expected in case["bn_after_one_forward"].items():
        digits = {"f32": 1e-5, "f64": 1e-8}[precision]
        assert state[name].flatten()[:8].tolist() == pytest.approx(expected[precision], rel=digits, abs=digits), name
        assert state[name].sum().item() == pytest.approx(expected["sum_f64"], rel=digits, abs=digits), name
    assert all(value == 1 for name, value in state.items() if name.endswith("num_batches_tracked"))

    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    pairs = torch.rand(2, 2, 3, 64, 64)
    together = model.estimate(pairs[0], pairs[1]).flow
    alone = model.estimate(pairs[0, :1], pairs[1, :1]).flow
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())


def test_an_estimate_of_pictures_equals_the_published_flow(tmp_path):
    """Through a checkpoint file and the project's own reader, from eight-bit pictures to pixels."""
    frames = [flowbench.io.read_image(golden.GOLDEN / "inputs" / f"L_{number}.png") for number in (1, 2)]
    flow = official_model("lightflow", "lightflow_w1_gain1.5", tmp_path).estimate(*frames).flow
    case = golden.case("lightflow_eval_gain")
    expected = full_resolution(golden.array(case["files"]["output"]))
    assert (flow - expected).abs().max() < 20 * case["tolerance"]["out_abs_f32"]


@pytest.mark.parametrize("name", SIZES)
def test_parameters_and_multiplications_agree_with_the_published_counts(name):
    parameters, megamacs = SIZES[name]
    network = flowbench.load(name, None, ["network.predictor_activation=true"]).network
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    plain = flowbench.load(name, None).network
    assert sum(parameter.numel() for parameter in plain.parameters()) == parameters - 5 * 4
    images = torch.zeros(2, 1, 3, 384, 512, device="meta")
    for one in (network, plain):
        with torch.no_grad():
            macs = count_macs(lambda one=one: one.to("meta")(*images))
        assert macs / 1e6 == pytest.approx(megamacs, abs=0.005)


def test_weights_and_biases_are_as_many_as_the_published_recipe_tells_apart():
    names = [name for name, _ in LightFlow(predictor_activation=True).named_parameters()]
    counts = {kind: sum(name.endswith(kind) for name in names) for kind in ("bias", "weight")}
    groups = golden.case("lightflow_schedule")["adam"]["param_groups"]
    assert list(counts.values()) == [group["n"] for group in groups]


@pytest.mark.parametrize("name", SIZES)
def test_an_official_checkpoint_tells_its_own_width(name, tmp_path):
    width = flowbench.load(name, None).network.state_dict()["encoder.5.1.3.weight"].shape[0] / 1024
    trained = LightFlow(width=width, predictor_activation=True)
    names = zip(golden.official_state("lightflow_w1"), trained.state_dict().values(), strict=True)
    state = {f"module.{name}": value for name, value in names}
    torch.save(
        {"epoch": 300, "arch": "LightFlow", "best_EPE": 3.45, "state_dict": state}, tmp_path / "official.pth.tar"
    )
    model = flowbench.load("lightflow", tmp_path / "official.pth.tar")
    assert (model.name, model.settings["model"]["name"]) == (name, name)
    assert sum(parameter.numel() for parameter in model.network.parameters()) == SIZES[name][0]
    images = torch.rand(2, 1, 3, 64, 64)
    torch.testing.assert_close(model.estimate(*images).flow, trained.eval()(*images).flow)


def test_entries_that_do_not_belong_are_listed(tmp_path):
    state = golden.official_state("lightflow_w1")
    state["conv17.0.weight"] = state.pop("conv16.3.weight")
    torch.save(state, tmp_path / "official.pth")
    with pytest.raises(
        FlowBenchError, match=r"1 missing \(predictors\.4\.3\.weight\); 1 unknown \(conv17\.0\.weight\)"
    ):
        flowbench.load("lightflow", tmp_path / "official.pth")


def test_a_checkpoint_of_another_family_is_refused(tmp_path):
    with pytest.raises(FlowBenchError, match="is not of this network"):
        official_model("lightflow", "raft_small", tmp_path)


def test_flow_is_in_full_precision_under_autocasting():
    network = LightFlow(width=0.5)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(*torch.rand(2, 1, 3, 128, 128))
    assert [tensor.dtype for tensor in (output.flow, *output.predictions)] == [torch.float32] * 2


@pytest.mark.parametrize("training", [False, True])
def test_every_convolution_works_channels_last_but_in_training(training):
    network, formats = LightFlow(width=0.5).train(training), []
    layout = torch.contiguous_format if training else torch.channels_last

    def note(_, inputs):
        formats.append(inputs[0].is_contiguous(memory_format=layout))

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(note)
    network(*torch.rand(2, 1, 3, 128, 192))
    assert formats == [True] * 38


def test_a_batch_too_small_for_batch_norm_is_refused_in_training_only():
    network, images = LightFlow(width=0.5), torch.rand(2, 1, 3, 64, 64)
    with pytest.raises(FlowBenchError, match=r"1 pair of 64x64 pixels .* raise the batch size"):
        network(*images)
    assert network.eval()(*images).flow.isfinite().all()


@pytest.mark.parametrize("name", SIZES)
def test_a_few_steps_lower_the_loss_of_a_batch(name):
    """Two pairs of 128x128: at 64x64 batch norm sees a single value a channel and pair."""
    model = short_model(name).train()
    batch = FlowBatch.collate([shifted_noise(index, 128, 128) for index in range(2)])
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=3e-4)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = model.objective(model.network(batch.image1, batch.image2), batch).total
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.network.parameters())
        assert torch.nn.utils.clip_grad_norm_(model.network.parameters(), 1.0) > 0
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
