import numpy as np
import pytest
import torch
from support import golden
from support.batches import truth_batch

from flowbench.errors import FlowBenchError
from flowbench.objectives import SequenceLoss
from flowbench.structures import FlowBatch, FlowOutput

HEIGHT, WIDTH = 40, 56


def published_case() -> tuple[FlowOutput, FlowBatch]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    truth, count = golden.field(0, HEIGHT, WIDTH), 3
    predictions = []
    for k in range(count):
        wave = np.stack([np.sin(0.3 * x + 0.2 * y + k), np.cos(0.25 * x - 0.15 * y)])
        predictions.append(torch.from_numpy(truth + wave * (0.5 + 6 * x / WIDTH) * (count - k)).float()[None])
    truth[0, 2:6, 3:9] = 500
    valid = (x // 5 + y // 7) % 3 != 0
    batch = truth_batch(torch.from_numpy(truth)[None], torch.from_numpy(valid)[None])
    return FlowOutput(predictions[-1], predictions), batch


@pytest.mark.parametrize("gamma", ["0.80", "0.85"])
def test_loss_equals_the_published_implementation(gamma):
    case = golden.case("util_sequence_loss")
    loss = SequenceLoss(gamma=float(gamma))(*published_case())
    expected = case["outputs"][f"raft_gamma{gamma}"]["loss"]
    assert loss.item() == pytest.approx(expected, rel=case["tolerance"]["rel"])


def test_invalid_pixels_count_as_zeros_in_the_mean():
    valid = torch.zeros(1, 4, 5, dtype=torch.bool)
    valid[0, :2] = True
    batch = truth_batch(torch.zeros(1, 2, 4, 5), valid)
    prediction = torch.full((1, 2, 4, 5), 3.0)
    assert SequenceLoss()(FlowOutput(prediction, [prediction]), batch).item() == pytest.approx(1.5)


@pytest.mark.parametrize(("length", "counts"), [(399.9, True), (400.1, False)])
def test_motion_beyond_the_limit_does_not_count(length, counts):
    batch = truth_batch(torch.tensor([0.6, 0.8]).mul(length).view(1, 2, 1, 1))
    prediction = batch.flow + 1
    expected = 1.0 if counts else 0.0
    loss = SequenceLoss()(FlowOutput(prediction, [prediction]), batch)
    assert loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("unknown", [float("nan"), float("inf")])
def test_undefined_truth_at_invalid_pixels_harms_neither_loss_nor_gradient(unknown):
    valid = torch.ones(1, 4, 5, dtype=torch.bool)
    valid[0, 1, 2] = False
    flow = torch.zeros(1, 2, 4, 5)
    flow[0, :, 1, 2] = unknown
    prediction = torch.ones(1, 2, 4, 5, requires_grad=True)
    loss = SequenceLoss()(FlowOutput(prediction, [prediction, 2 * prediction]), truth_batch(flow, valid))
    loss.backward()
    assert loss.item() == pytest.approx((0.8 * 1 + 2) * 19 / 20)
    assert not prediction.grad[0, :, 1, 2].any()
    assert (prediction.grad[0, :, valid[0]] > 0).all()


def test_an_output_of_eval_mode_is_an_error_instead_of_a_loss_of_zero():
    with pytest.raises(FlowBenchError, match=r"no predictions .* call model\.train\(\)"):
        SequenceLoss()(FlowOutput(torch.zeros(1, 2, 4, 5)), truth_batch(torch.zeros(1, 2, 4, 5)))
