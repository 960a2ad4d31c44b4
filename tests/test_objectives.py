import numpy as np
import pytest
import torch
from support import golden
from support.batches import truth_batch

from flowbench.errors import FlowBenchError
from flowbench.objectives import MultiLevelLoss, SequenceLoss
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
    loss = SequenceLoss(gamma=float(gamma))(*published_case()).total
    expected = case["outputs"][f"raft_gamma{gamma}"]["loss"]
    assert loss.item() == pytest.approx(expected, rel=case["tolerance"]["rel"])


def test_invalid_pixels_count_as_zeros_in_the_mean():
    valid = torch.zeros(1, 4, 5, dtype=torch.bool)
    valid[0, :2] = True
    batch = truth_batch(torch.zeros(1, 2, 4, 5), valid)
    prediction = torch.full((1, 2, 4, 5), 3.0)
    assert SequenceLoss()(FlowOutput(prediction, [prediction]), batch).total.item() == pytest.approx(1.5)


@pytest.mark.parametrize(("length", "counts"), [(399.9, True), (400.1, False)])
def test_motion_beyond_the_limit_does_not_count(length, counts):
    batch = truth_batch(torch.tensor([0.6, 0.8]).mul(length).view(1, 2, 1, 1))
    prediction = batch.flow + 1
    expected = 1.0 if counts else 0.0
    loss = SequenceLoss()(FlowOutput(prediction, [prediction]), batch).total
    assert loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("unknown", [float("nan"), float("inf")])
def test_undefined_truth_at_invalid_pixels_harms_neither_loss_nor_gradient(unknown):
    valid = torch.ones(1, 4, 5, dtype=torch.bool)
    valid[0, 1, 2] = False
    flow = torch.zeros(1, 2, 4, 5)
    flow[0, :, 1, 2] = unknown
    prediction = torch.ones(1, 2, 4, 5, requires_grad=True)
    loss = SequenceLoss()(FlowOutput(prediction, [prediction, 2 * prediction]), truth_batch(flow, valid)).total
    loss.backward()
    assert loss.item() == pytest.approx((0.8 * 1 + 2) * 19 / 20)
    assert not prediction.grad[0, :, 1, 2].any()
    assert (prediction.grad[0, :, valid[0]] > 0).all()


def test_an_output_of_eval_mode_is_an_error_instead_of_a_loss_of_zero():
    with pytest.raises(FlowBenchError, match=r"no predictions .* call model\.train\(\)"):
        SequenceLoss()(FlowOutput(torch.zeros(1, 2, 4, 5)), truth_batch(torch.zeros(1, 2, 4, 5)))


FLOWNET = golden.case("flownet_loss")
PUBLISHED_WEIGHTS = (0.005, 0.01, 0.02, 0.08, 0.32)


def flownet_case(dtype: torch.dtype, *, sparse: bool) -> tuple[list[torch.Tensor], FlowBatch]:
    """Five predictions, finest first, and a truth that is unknown where it is zero."""
    truth = 5 * golden.drawn("fn_target", (2, 2, 128, 192))
    y, x = torch.meshgrid(torch.arange(128), torch.arange(192), indexing="ij")
    hidden = ((x + 2 * y) % 7 >= 4) & torch.tensor(sparse)
    truth = torch.where(hidden, 0.0, truth).to(dtype)
    sizes = {level: (2, 2, 128 // 2**level, 192 // 2**level) for level in (2, 3, 4, 5, 6)}
    predictions = [(2 * golden.drawn(f"fn_pred{level}", size)).to(dtype) for level, size in sizes.items()]
    return predictions, truth_batch(truth, ~hidden.expand(2, 128, 192))


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("truth", ["dense", "sparse"])
class TestFlowNetLoss:
    def found(self, truth: str, precision: str, weights, chosen=slice(None), upsampled: bool = False) -> float:
        dtype = {"f32": torch.float32, "f64": torch.float64}[precision]
        predictions, batch = flownet_case(dtype, sparse=truth == "sparse")
        if upsampled:
            predictions[0] = torch.nn.functional.interpolate(predictions[0], (128, 192), mode="nearest")
        pooling = "mean" if truth == "dense" else "extreme"
        loss = MultiLevelLoss(weights=weights, flow_unit=1.0, pooling=pooling)
        return loss(FlowOutput(predictions[0], predictions[chosen]), batch).total.item()

    def expected(self, truth: str, precision: str, name: str):
        tolerance = FLOWNET["tolerance"][f"rel_{precision}"]
        return pytest.approx(FLOWNET["outputs"][f"{truth}_{precision}"][name], rel=tolerance)

    def test_published_weights(self, truth, precision):
        expected = self.expected(truth, precision, "multiscaleEPE")
        assert self.found(truth, precision, PUBLISHED_WEIGHTS) == expected

    def test_other_weights(self, truth, precision):
        expected = self.expected(truth, precision, "multiscaleEPE_other_weights")
        assert self.found(truth, precision, (1, 0.5, 0.25, 0.125, 0.0625)) == expected

    def test_one_level(self, truth, precision):
        expected = self.expected(truth, precision, "single_output")
        assert self.found(truth, precision, (1,), slice(1)) == expected

    def test_gradients(self, truth, precision):
        dtype = {"f32": torch.float32, "f64": torch.float64}[precision]
        predictions, batch = flownet_case(dtype, sparse=truth == "sparse")
        predictions = [prediction.requires_grad_() for prediction in predictions]
        pooling = "mean" if truth == "dense" else "extreme"
        loss = MultiLevelLoss(weights=PUBLISHED_WEIGHTS, flow_unit=1.0, pooling=pooling)
        loss(FlowOutput(predictions[0], predictions), batch).total.backward()
        norms = [prediction.grad.norm().item() for prediction in predictions]
        expected = FLOWNET["outputs"][f"{truth}_{precision}"]["grad_norms"]
        assert norms == pytest.approx(expected, rel=max(FLOWNET["tolerance"][f"rel_{precision}"], 1e-7))


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_sparse_truth_at_full_size(precision):
    expected = TestFlowNetLoss().expected("sparse", precision, "multiscaleEPE_main_sparse_path")
    assert TestFlowNetLoss().found("sparse", precision, PUBLISHED_WEIGHTS, upsampled=True) == expected


def one_level(**changes) -> float:
    """Two pairs of four pixels, differences (3, 4) px everywhere but at one pixel without truth."""
    valid = torch.ones(2, 2, 2, dtype=torch.bool)
    valid[0, 0, 0] = False
    truth = torch.zeros(2, 2, 2, 2)
    truth[0, :, 0, 0] = torch.inf
    prediction = torch.tensor([3.0, -4.0]).view(1, 2, 1, 1).expand(2, 2, 2, 2) / 20
    output = FlowOutput(prediction, [prediction])
    return 20 * MultiLevelLoss(**{"weights": [1.0], **changes})(output, truth_batch(truth, valid)).total.item()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"distance": "l2"}, 7 * 5 / 2),
        ({"distance": "l1"}, 7 * 7 / 2),
        ({"distance": "l1", "total": "mean"}, 7 * 7 / 8),
        ({"distance": "robust"}, 20 * 7 * (7 / 20 + 0.01) ** 0.4 / 2),
        ({"weights": [3.0]}, 3 * 7 * 5 / 2),
    ],
)
def test_distances_and_totals(changes, expected):
    assert one_level(**changes) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distance": "l3"}, "'l3': choose one of l2, l1, robust"),
        ({"total": "average"}, "'average': choose sum or mean"),
        ({"weights": 1.0}, "weights are 1.0: give a list"),
        ({"pooling": "median"}, "'median': choose one of mean, extreme"),
        ({"weights": [1.0, 2.0]}, "2 weights for 1 predictions"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(FlowBenchError, match=message):
        one_level(**changes)
