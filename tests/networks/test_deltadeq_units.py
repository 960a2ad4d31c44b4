"""The recurrent unit and the motion encoder by themselves, over inputs that are prescribed for each step."""

import pytest
import torch
from support import golden

from flowbench.networks.delta_counter import MacCounter
from flowbench.networks.delta_operators import DeltaLayers, WorkCount
from flowbench.networks.update import (
    Convolve,
    FlowHead,
    GatedPass,
    MotionEncoder,
    SepConvGRU,
    SplitConv,
    UpdateBlock,
    UpdateStep,
)
from flowbench.ops.delta.convolution import Delta

STEPS = 4
PUBLISHED = Delta(threshold=0.005, rule="element", memory="reference")


def inputs(shape: tuple[int, int, int], amplitude: float, decay: float) -> list[torch.Tensor]:
    c, y, x = torch.meshgrid(*(torch.arange(size).double() for size in shape), indexing="ij")
    base = torch.sin(0.3 * x + 0.1 * c) + 0.5 * torch.cos(0.25 * y - 0.2 * c)
    perturbation = torch.sin(1.7 * x + 0.9 * y + 0.5 * c)
    return [(base + amplitude * decay**step * perturbation)[None].float() for step in range(STEPS)]


def update_step(name: str, height: int, width: int) -> UpdateStep:
    """With a recurrent unit that knows no context, and the case's weights where it has them."""
    block = UpdateBlock(
        encoder=MotionEncoder(windows=324, corr=(64, 48), flow=(32, 16), outputs=32),
        gru=SepConvGRU(hidden=8, inputs=16),
        flow_head=FlowHead(hidden=8, width=4),
    )
    part = name.removeprefix("delta_").removesuffix("_tiny")
    shapes = golden.case(name)["state_keys_shapes"]
    getattr(block, part).load_state_dict({key: golden.filled(f"{part}.{key}", shape) for key, shape in shapes.items()})
    return UpdateStep(block, torch.zeros(1, 0, height, width), (gated(block.gru, 1), gated(block.gru, 2)), None, None)


def gated(unit: SepConvGRU, number: int) -> GatedPass:
    z, r, q = (getattr(unit, f"conv{gate}{number}") for gate in "zrq")
    gates = SplitConv(torch.cat([z.weight, r.weight]), z.padding, (z, r))
    bias = torch.cat([z.bias, r.bias])[:, None, None]
    return GatedPass(gates, bias, SplitConv(q.weight, q.padding, (q,)), q.bias[:, None, None])


def recurrent(step: UpdateStep, x: torch.Tensor, convolve: Convolve) -> torch.Tensor:
    return step.block.gru(x[:, :8].tanh(), x[:, 8:].relu(), step.passes, convolve)


def motion(step: UpdateStep, x: torch.Tensor, convolve: Convolve) -> torch.Tensor:
    return step.block.encoder(x[:, :2], x[:, 2:], convolve=convolve)


@pytest.mark.parametrize(
    ("name", "call", "shape", "amplitude", "decay"),
    [("delta_gru", recurrent, (24, 10, 12), 0.1, 0.3), ("delta_encoder_tiny", motion, (326, 8, 10), 0.2, 0.35)],
)
@torch.no_grad()
def test_a_part_of_the_update_equals_the_published_one(name, call, shape, amplitude, decay):
    case, step, outputs = golden.case(name), update_step(name, *shape[1:]), []
    layers, memories, counter = DeltaLayers.of(step, torch.float32, flow_unit=1.0), {}, MacCounter(1)
    for x in inputs(shape, amplitude, decay):
        convolve = WorkCount(layers, PUBLISHED, memories, counter=counter, indices=torch.arange(1), step=step)
        outputs.append(call(step, x, convolve))
    found = torch.cat(outputs)
    published, dense = (golden.array(case["files"][kind]).view_as(found) for kind in ("out", "dense"))
    assert (found - published).abs().max() < case["tolerance"]["out_abs"]
    apart = (found - dense).abs().amax(dim=(1, 2, 3))
    torch.testing.assert_close(apart, torch.tensor(case["max_dev_from_dense"]), rtol=0, atol=2e-5)
    for work, expected in zip(counter.work, case["analyse"], strict=True):
        assert sum(layer.inputs for layer in work.values()) == expected["total_activation_numel"]
        zeros = sum(int(layer.zeros) for layer in work.values())
        assert abs(zeros - expected["total_zeros_cross_layers"]) <= 5
