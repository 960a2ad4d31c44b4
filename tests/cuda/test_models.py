"""Every model on a graphics card: the CPU's estimates, training in half precision, and what only some of them can do."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from support.batches import shifted_noise
from support.hydra import GROUPS
from support.models import short_model

from flowbench.engine.config.groups import model_config
from flowbench.engine.config.models import build_model
from flowbench.engine.prediction.predictor import PairPredictor
from flowbench.models.sequences import WarmStart
from flowbench.ops.correlation import build_correlation
from flowbench.ops.sampling import coordinate_grid
from flowbench.structures import FlowBatch

MODELS = pytest.mark.parametrize("name", GROUPS["model"])
STEPS = 3
SAMPLES = [shifted_noise(index, 128, 192, shift=3 + index) for index in range(2)]
PAIR = (SAMPLES[0].image1, SAMPLES[0].image2)
# Halvings that a scale of 65,536 may take before no gradient overflows.
HALVINGS = 12


def changed_model(name, *changes):
    torch.manual_seed(0)
    return build_model(model_config(name, [f"network.{change}" for change in changes])).eval()


def difference(found, expected):
    """The length of the difference, relative to that of what was expected."""
    found, expected = found.cpu().double(), expected.cpu().double()
    return ((found - expected).norm() / expected.norm()).item()


def gradients(model):
    return {name: parameter.grad for name, parameter in model.network.named_parameters()}


@MODELS
def test_an_estimate_is_the_cpus(name, device):
    model = short_model(name, STEPS)
    expected = model.estimate(*PAIR).flow
    output = model.to(device).estimate(*PAIR)
    assert output.flow.device.type == device.type
    assert {stat.device.type for stat in output.stats.values()} <= {device.type}
    assert difference(output.flow, expected) < 1e-3


@MODELS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_a_training_step_in_half_precision_is_finite(name, dtype, device):
    model = short_model(name).to(device).train()
    batch = FlowBatch.collate(SAMPLES).to(device)
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=1e-4)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    for _ in range(HALVINGS):
        optimizer.zero_grad()
        with torch.autocast(device.type, dtype):
            output = model.network(batch.image1, batch.image2)
            loss = model.objective(output, batch).total
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        finite = all(bool(gradient.isfinite().all()) for gradient in gradients(model).values())
        scaler.step(optimizer)
        scaler.update()
        assert torch.isfinite(loss)
        if finite:
            break
    assert finite
    assert output.flow.dtype == torch.float32
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


@pytest.mark.parametrize("name", ["raft_small", "deqflow_tiny", "deltadeq_tiny"])
def test_a_warm_start_is_the_cpus(name, device):
    model, frames = short_model(name, STEPS), (*PAIR, np.roll(PAIR[1], 3, axis=1))

    def flows(model):
        warm = WarmStart(model.estimate)
        outputs = [warm.estimate(*pair, "scene/1") for pair in pairwise(frames)]
        assert [output.stats["warm"].item() for output in outputs] == [0, 1]
        return [output.flow for output in outputs]

    for expected, found in zip(flows(model), flows(model.to(device))):
        assert difference(found, expected) < 1e-3


def test_correlation_on_demand_equals_all_pairs_and_has_its_gradient(device):
    found = {}
    for kind in ("all_pairs", "on_demand"):
        torch.manual_seed(0)
        features = torch.randn(2, 2, 64, 24, 32).to(device).requires_grad_()
        coords = coordinate_grid(2, 24, 32, like=features) + 5 * torch.randn(2, 2, 24, 32).to(device)
        coords.requires_grad_()
        windows = build_correlation(*features, kind=kind).lookup(coords)
        windows.square().sum().backward()
        found[kind] = windows.detach(), features.grad, coords.grad
    for one, other in zip(*found.values()):
        assert difference(one, other) < 1e-4


@pytest.mark.parametrize("name", ["raft_small", "deqflow_tiny"])
def test_a_model_with_correlation_on_demand_estimates_the_same(name, device):
    flows = [
        changed_model(name, f"correlation={kind}", f"{steps}={STEPS}").to(device).estimate(*PAIR).flow
        for kind in ("all_pairs", "on_demand")
        for steps in ["eval_iterations" if name == "raft_small" else "deq.eval_steps"]
    ]
    assert difference(*flows) < 1e-3


@pytest.mark.parametrize(("rule", "execution"), [("element", "dense"), ("pixel", "dense"), ("pixel", "sparse")])
def test_the_delta_rule_at_threshold_zero_is_the_dense_solve(rule, execution, device):
    words = (f"delta.rule={rule}", f"delta.execution={execution}", f"deq.eval_steps={STEPS}")
    model = changed_model("deltadeq_tiny", *words).to(device)
    model.set_threshold(None)
    dense = model.estimate(*PAIR)
    model.set_threshold(0.0)
    assert difference(model.estimate(*PAIR).flow, dense.flow) < 1e-3
    model.set_threshold(0.05)
    output = model.estimate(*PAIR)
    assert 0 < output.stats["propagated"].item() < 1
    assert 0 < difference(output.flow, dense.flow) < 0.2


@pytest.mark.parametrize("solver", ["anderson", "broyden", "damped", "fixed_point"])
def test_every_solver_finds_and_trains_what_it_does_on_the_cpu(solver, device):
    words = ("deq.solver.max_steps=4", "deq.eval_steps=4", "deq.corrections.count=1")
    config = model_config(
        "deqflow_tiny", [f"solver={solver}", "gradient=implicit", *(f"network.{word}" for word in words)]
    )
    found = []
    for place in (torch.device("cpu"), device):
        torch.manual_seed(0)
        model, batch = build_model(config).to(place), FlowBatch.collate(SAMPLES).to(place)
        flow = model.estimate(*PAIR).flow
        model.train()
        model.objective(model.network(batch.image1, batch.image2), batch).total.backward()
        found.append((flow, torch.cat([gradient.flatten() for gradient in gradients(model).values()])))
    for expected, other in zip(*found):
        assert difference(other, expected) < 1e-2


@pytest.mark.parametrize("precision", ["bf16", "16"])
@pytest.mark.parametrize("name", ["raft_small", "deltadeq_tiny", "fastflownet", "lightflow"])
def test_prediction_in_half_precision_stays_close(name, precision, device):
    model = short_model(name, STEPS).to(device)
    full, half = (PairPredictor(model, precision=each)(PAIR[0][None], PAIR[1][None]) for each in ("32", precision))
    assert (half.dtype, half.shape) == (np.float32, (1, 128, 192, 2))
    assert np.linalg.norm(half - full) < 0.1 * np.linalg.norm(full)


def test_a_spectral_radius_is_the_cpus(device):
    model = short_model("deqflow_tiny", STEPS)
    pictures = (torch.from_numpy(image).permute(2, 0, 1)[None] / 255 for image in PAIR)
    first, second = pictures
    expected = model.network.spectral_radius(first, second, steps=10)
    found = model.to(device).network.spectral_radius(first.to(device), second.to(device), steps=10)
    assert difference(found, expected) < 1e-2
