from dataclasses import replace

import pytest
import torch
from support import golden
from torch import nn

from flowbench.errors import FlowBenchError
from flowbench.ops.correlation import build_correlation
from flowbench.ops.delta.convolution import Delta, DeltaConv
from flowbench.ops.delta.counting import Work, uses_of_pixels
from flowbench.ops.delta.lookup import DeltaLookup

KERNELS = [(1, 1), (1, 5), (5, 1), (3, 3), (7, 7)]


def layer_of(kernel: tuple[int, int], *, inputs: int = 6, outputs: int = 4, bias: bool = True) -> nn.Conv2d:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=bias, dtype=torch.float64)


def settling(steps: int, shape: tuple[int, ...] = (2, 6, 7, 9)) -> list[torch.Tensor]:
    """Inputs whose changes become fewer and smaller from step to step."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator, dtype=torch.float64)]
    for step in range(1, steps):
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        weight = torch.rand(shape[0], 1, *shape[2:], generator=generator, dtype=torch.float64) ** step
        inputs.append(inputs[-1] + 0.3 * weight * noise)
    return inputs


def run(layer: nn.Conv2d, delta: Delta, inputs: list[torch.Tensor]):
    """Each step's input, result, and what is remembered after it."""
    conv, memory = DeltaConv.of(layer), None
    with torch.no_grad():
        for x in inputs:
            result = conv(x, memory, delta)
            memory = result.memory
            yield x, replace(result, output=result.output.clone()), memory.input.clone()


def golden_inputs() -> list[torch.Tensor]:
    c, y, x = torch.meshgrid(*(torch.arange(size).double() for size in (16, 12, 16)), indexing="ij")
    base = torch.sin(0.3 * x + 0.1 * c) + 0.5 * torch.cos(0.25 * y - 0.2 * c)
    perturbation = torch.sin(1.7 * x + 0.9 * y + 0.5 * c)
    return [(base + 0.1 * 0.3**step * perturbation)[None].float() for step in range(4)]


def golden_layer() -> nn.Conv2d:
    layer = nn.Conv2d(16, 24, 3, padding=1)
    layer.weight.data = golden.filled("unit.weight", [24, 16, 3, 3])
    layer.bias.data = golden.filled("unit.bias", [24])
    return layer


@pytest.mark.parametrize(
    ("threshold", "memory", "file"),
    [
        (0, "reference", "th0"),
        (0, "bounded", "th0"),
        (0.005, "reference", "th0p005_official"),
        (0.005, "bounded", "th0p005_classical"),
        (0.05, "reference", "th0p05_official"),
        (0.05, "bounded", "th0p05_classical"),
    ],
)
def test_a_layer_equals_the_published_one(threshold, memory, file):
    case = golden.case("delta_conv")
    delta = Delta(threshold=threshold, rule="element", memory=memory)
    steps = list(run(golden_layer(), delta, golden_inputs()))
    outputs = torch.cat([result.output for _, result, _ in steps])
    assert (outputs - golden.array(f"delta_conv/{file}.npy")).abs().max() < case["tolerance"]["y_abs"]
    kind = "official" if memory == "reference" else "classical"
    for (_, result, _), published in zip(steps[1:], case["steps"][str(threshold)][1:], strict=True):
        assert abs(int((~result.active).sum()) - published[f"{kind}_zeros"]) <= 3


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.1, 1.0])
def test_bounded_elements_and_the_output_stay_within_the_proven_bound(kernel, threshold):
    layer, theta = layer_of(kernel), threshold
    bound = theta * layer.weight.abs().sum(dim=(1, 2, 3))[:, None, None]
    waiting = 0.0
    for x, result, remembered in run(layer, Delta(threshold=theta, rule="element"), settling(8)):
        waiting = max(waiting, (x - remembered).abs().max().item())
        assert ((result.output - layer(x)).abs() <= bound + 1e-12).all()
        torch.testing.assert_close(result.output, layer(remembered), rtol=0, atol=1e-12)
    assert waiting <= theta
    assert waiting > 0.5 * theta or theta == 1.0 or theta == 0


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("execution", ["dense", "sparse"])
def test_bounded_pixels_and_the_output_stay_within_the_proven_bound(kernel, execution):
    """RMS of the waiting change at most the threshold; the output by Cauchy and Schwarz for each element of the kernel."""
    layer, theta = layer_of(kernel), 0.1
    channels = layer.in_channels
    bound = theta * channels**0.5 * layer.weight.norm(dim=1).sum(dim=(1, 2))[:, None, None]
    for x, result, remembered in run(layer, Delta(threshold=theta, execution=execution), settling(8)):
        assert ((x - remembered).square().mean(dim=1).sqrt() <= theta + 1e-12).all()
        assert ((result.output - layer(x)).abs() <= bound + 1e-12).all()
        torch.testing.assert_close(result.output, layer(remembered), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", ["element", "pixel"])
def test_a_relative_threshold_is_a_share_of_what_each_sample_showed_first(rule):
    layer, inputs = layer_of((3, 3)), settling(6)
    factor = torch.tensor([1.0, 50.0])[:, None, None, None]
    unit = inputs[0][0].square().mean().sqrt().item()
    absolute = list(run(layer, Delta(threshold=0.1 * unit, rule=rule), [x[:1] for x in inputs]))
    relative = list(run(layer, Delta(threshold=0.1, rule=rule, scale="relative"), [x[:1] * factor for x in inputs]))
    for (_, alone, _), (_, both, _) in zip(absolute[1:], relative[1:], strict=True):
        assert torch.equal(both.active, alone.active.expand(2, -1, -1, -1))
        assert 0 < alone.active.float().mean() < 1


def test_a_layer_may_have_a_unit_and_a_threshold_scale_of_its_own():
    layer, (first, *later) = layer_of((3, 3)), settling(2)
    delta = Delta(threshold=0.1, scale="relative")
    unit = first.square().mean(dim=(1, 2, 3)).sqrt()
    for conv, expected in (
        (DeltaConv.of(layer), unit),
        (replace(DeltaConv.of(layer), threshold_scale=4.0), 4 * unit),
        (replace(DeltaConv.of(layer), unit=0.5), torch.full((2,), 0.5)),
        (replace(DeltaConv.of(layer), unit=0.5, threshold_scale=2.0), torch.ones(2)),
    ):
        memory = conv(first, None, delta).memory
        torch.testing.assert_close(memory.unit, expected.double(), rtol=1e-6, atol=0)
        x = later[0].clone()
        limits = 0.1 * expected.double()[:, None, None]
        moved = (x - first).square().mean(dim=1).sqrt() > limits
        assert torch.equal(conv(x, memory, delta).active[:, 0], moved)


def test_the_reference_rule_loses_what_it_drops():
    """A creeping input, each step of it below the threshold, never arrives; with the bounded memory it does."""
    layer = layer_of((3, 3))
    inputs = [torch.full((1, 6, 5, 5), 0.004 * step, dtype=torch.float64) for step in range(200)]
    off = {}
    for memory in ("reference", "bounded"):
        *_, (x, result, _) = run(layer, Delta(threshold=0.005, rule="element", memory=memory), inputs)
        off[memory] = (result.output - layer(x)).abs().max().item()
    largest = layer.weight.abs().sum(dim=(1, 2, 3)).max().item()
    assert off["bounded"] <= 0.005 * largest
    assert off["reference"] > 20 * off["bounded"]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("memory", ["bounded", "reference"])
def test_sparse_and_dense_execution_agree(kernel, memory):
    outputs = {}
    for execution in ("dense", "sparse", "auto"):
        delta = Delta(threshold=0.1, memory=memory, execution=execution)
        outputs[execution] = [result.output for _, result, _ in run(layer_of_seed(kernel), delta, settling(8))]
    for execution in ("sparse", "auto"):
        for found, expected in zip(outputs[execution], outputs["dense"], strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def layer_of_seed(kernel: tuple[int, int]) -> nn.Conv2d:
    torch.manual_seed(0)
    return layer_of(kernel)


@pytest.mark.parametrize("execution", ["dense", "sparse", "auto"])
def test_an_input_that_stays_is_propagated_nowhere(execution):
    layer, (x, *_) = layer_of((3, 3)), settling(1)
    first, second = (result for _, result, _ in run(layer, Delta(threshold=0, execution=execution), [x, x.clone()]))
    assert first.active is None
    assert not second.active.any()
    torch.testing.assert_close(first.output, second.output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", ["element", "pixel"])
@pytest.mark.parametrize("memory", ["bounded", "reference"])
def test_changing_the_input_in_place_leaves_the_memory_alone(rule, memory):
    layer, delta = layer_of((3, 3)), Delta(threshold=0.05, rule=rule, memory=memory)
    conv, kept, spoilt = DeltaConv.of(layer), None, None
    for x in settling(5):
        own = x.clone()
        first, second = conv(x, kept, delta), conv(own, spoilt, delta)
        assert torch.equal(first.output, second.output)
        own.zero_()
        kept, spoilt = first.memory, second.memory


@pytest.mark.parametrize("memory", ["bounded", "reference"])
@pytest.mark.parametrize("execution", ["dense", "sparse"])
def test_a_constant_is_added_whichever_the_call_before_had(memory, execution):
    layer, delta = layer_of((3, 3)), Delta(threshold=0.1, memory=memory, execution=execution)
    conv, inputs = DeltaConv.of(layer), settling(6)
    plain = [result.output for _, result, _ in run(layer, delta, inputs)]
    one, other = torch.randn(2, 2, 4, 7, 9, dtype=torch.float64)
    kept = None
    for x, expected, constant in zip(inputs, plain, (one, one, other, None, None, one), strict=True):
        result = conv(x, kept, delta, constant)
        kept = result.memory
        torch.testing.assert_close(result.output, expected + (0 if constant is None else constant), rtol=0, atol=1e-12)


def test_constants_that_change_leave_no_trace_in_half_precision():
    x = torch.randn(1, 6, 5, 5)
    conv, kept = DeltaConv.of(layer_of((3, 3)).float(), torch.bfloat16), None
    for constant in torch.randn(200, 1, 4, 5, 5).bfloat16():
        kept = conv(x, kept, Delta(threshold=1.0), constant).memory
    plain = conv(x, None, Delta())
    torch.testing.assert_close(conv(x, kept, Delta(threshold=1.0)).output, plain.output, rtol=0.01, atol=1e-4)


def test_samples_taken_out_of_a_batch_keep_their_memories():
    layer, delta, inputs = layer_of((1, 5)), Delta(threshold=0.1), settling(6)
    conv, whole, kept = DeltaConv.of(layer), None, torch.tensor([1])
    for x in inputs[:3]:
        whole = conv(x, whole, delta).memory
    part = whole.select(kept)
    for x in inputs[3:]:
        both, alone = conv(x, whole, delta), conv(x[kept], part, delta)
        torch.testing.assert_close(alone.output, both.output[kept], rtol=0, atol=1e-12)
        whole, part = both.memory, alone.memory


def test_half_precision_adds_up_in_full():
    """A hundred small changes, each rounded to 8 bits: their sum is not."""
    layer = layer_of((3, 3)).float()
    conv, delta, memory = DeltaConv.of(layer, torch.bfloat16), Delta(threshold=0, execution="sparse"), None
    inputs = [torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.999**step for step in range(100)]
    for x in inputs:
        result = conv(x, memory, delta)
        memory = result.memory
    assert result.output.dtype == torch.bfloat16
    exact = layer(inputs[-1])
    assert (result.output - exact).norm() < 0.01 * exact.norm()


@pytest.mark.parametrize(("height", "width"), [(5, 7), (2, 3)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_work_equals_a_count_of_every_multiplication(height, width, kernel):
    generator = torch.Generator().manual_seed(0)
    x, changes = (torch.randn(2, 3, height, width, generator=generator).relu() for _ in range(2))
    work = Work.of(x, changes, kernel, outputs=4)
    down, across = kernel[0] // 2, kernel[1] // 2

    def counted(values: torch.Tensor) -> int:
        count = 0
        for row in range(height):
            for column in range(width):
                for i in range(row - down, row + down + 1):
                    for j in range(column - across, column + across + 1):
                        if 0 <= i < height and 0 <= j < width:
                            count += 4 * int((values[:, i, j] != 0).sum())
        return count

    assert work.dense == counted(torch.ones(3, height, width))
    for sample in range(2):
        assert int(work.macs[sample]) == counted(changes[sample])
        assert int(work.raw_macs[sample]) == counted(x[sample])
        assert int(work.zeros[sample]) == int((changes[sample] == 0).sum())
    assert int(uses_of_pixels(height, width, kernel).sum()) * 3 * 4 == work.dense


@pytest.mark.parametrize("kind", ["all_pairs", "on_demand"])
@pytest.mark.parametrize("execution", ["dense", "sparse", "auto"])
def test_windows_are_looked_up_again_where_the_coordinates_have_moved(kind, execution):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 2, 8, 16, 20, generator=generator)
    correlation = build_correlation(*features, kind=kind)
    coords = 4 + 8 * torch.rand(2, 2, 16, 20, generator=generator)
    step = torch.zeros_like(coords)
    step[:, :, :, :10], step[:, :, :, 10:] = 0.011, 0.009
    with torch.no_grad():
        lookup = DeltaLookup(correlation, Delta(threshold=0.01, execution=execution))
        windows, memory = lookup(coords, None)
        before = windows.clone()
        windows, memory = lookup(coords + step, memory)
        after = windows.clone()
        torch.testing.assert_close(after[..., :10], correlation.lookup(coords + step)[..., :10], rtol=0, atol=1e-5)
        assert torch.equal(after[..., 10:], before[..., 10:])
        # What was not looked up waits: two small steps are more than the threshold.
        second = torch.tensor([1])
        both, _ = lookup.select(second)((coords + 2 * step)[1:], memory.select(second))
        expected = correlation.lookup(coords + 2 * step)[1:]
        torch.testing.assert_close(both, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"threshold": -0.1}, "threshold=-0.1: give a number of at least 0."),
        ({"threshold": float("nan")}, "threshold=nan: give a number of at least 0."),
        ({"threshold": [0, 0.1]}, r"threshold=\[0, 0.1\]: give a number of at least 0."),
        ({"rule": "tile"}, "rule='tile': choose one of element, pixel."),
        ({"memory": "last"}, "memory='last': choose one of bounded, reference."),
        ({"execution": "fast"}, "execution='fast': choose one of auto, sparse, dense."),
        ({"scale": "log"}, "scale='log': choose one of absolute, relative."),
        ({"rule": "element", "execution": "sparse"}, "execution=sparse needs rule=pixel"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, told):
    with pytest.raises(FlowBenchError, match=told):
        Delta(**settings)


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=2)],
    ids=["smaller", "strided", "grouped"],
)
def test_convolutions_of_another_kind_are_refused(layer):
    with pytest.raises(FlowBenchError, match="A delta convolution"):
        DeltaConv.of(layer)
