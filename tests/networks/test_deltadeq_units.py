"""The recurrent unit and the motion encoder by themselves, over inputs that are prescribed for each step."""

import pytest
import torch
from support import golden

from flowbench.networks.delta_ledger import Ledger
from flowbench.networks.deltadeq import DeltaStep, delta_layers
from flowbench.networks.update import (
    FlowHead,
    GatedPass,
    MotionEncoder,
    RecurrentStep,
    SepConvGRU,
    UpdateBlock,
    UpdateStep,
)
from flowbench.ops.delta import Delta

STEPS = 4
PUBLISHED = Delta(threshold=0.005, rule="element", memory="reference")


def inputs(shape: tuple[int, int, int], amplitude: float, decay: float) -> list[torch.Tensor]:
    c, y, x = torch.meshgrid(*(torch.arange(size).double() for size in shape), indexing="ij")
    base = torch.sin(0.3 * x + 0.1 * c) + 0.5 * torch.cos(0.25 * y - 0.2 * c)
    perturbation = torch.sin(1.7 * x + 0.9 * y + 0.5 * c)
    return [(base + amplitude * decay**step * perturbation)[None].float() for step in range(STEPS)]


def delta_step(name: str, height: int, width: int) -> DeltaStep:
    """With a recurrent unit that knows no context, and the case's weights where it has them."""
    block = UpdateBlock(
        encoder=MotionEncoder(windows=324, corr=(64, 48), flow=(32, 16), outputs=32),
        gru=SepConvGRU(hidden=8, inputs=16),
        flow_head=FlowHead(hidden=8, width=4),
    )
    part = name.removeprefix("delta_").removesuffix("_tiny")
    shapes = golden.case(name)["state_keys_shapes"]
    getattr(block, part).load_state_dict({key: golden.filled(f"{part}.{key}", shape) for key, shape in shapes.items()})
    dense = UpdateStep(block, RecurrentStep((gated(block.gru, 1), gated(block.gru, 2))), None, None)
    return DeltaStep(
        dense=dense,
        layers=delta_layers(dense, torch.float32, flow_unit=1.0),
        delta=PUBLISHED,
        context=torch.zeros(1, 0, height, width),
        rows=torch.arange(1),
        memories={},
        ledger=Ledger(1),
        count=True,
    )


def gated(unit: SepConvGRU, number: int) -> GatedPass:
    z, r, q = (getattr(unit, f"conv{gate}{number}") for gate in "zrq")
    weight, bias = torch.cat([z.weight, r.weight]), torch.cat([z.bias, r.bias])
    return GatedPass(weight, bias[:, None, None], q.weight, q.bias[:, None, None], z.padding)


def recurrent(step: DeltaStep, x: torch.Tensor) -> torch.Tensor:
    return step.recur(x[:, :8].tanh(), x[:, 8:].relu())


def motion(step: DeltaStep, x: torch.Tensor) -> torch.Tensor:
    return step.motion(x[:, 2:], x[:, :2])


@pytest.mark.parametrize(
    ("name", "call", "shape", "amplitude", "decay"),
    [("delta_gru", recurrent, (24, 10, 12), 0.1, 0.3), ("delta_encoder_tiny", motion, (326, 8, 10), 0.2, 0.35)],
)
@torch.no_grad()
def test_a_part_of_the_update_equals_the_published_one(name, call, shape, amplitude, decay):
    case, step, outputs = golden.case(name), delta_step(name, *shape[1:]), []
    for x in inputs(shape, amplitude, decay):
        step.ledger.begin_step(step.rows)
        outputs.append(call(step, x))
    found = torch.cat(outputs)
    published, dense = (golden.array(case["files"][kind]).view_as(found) for kind in ("out", "dense"))
    assert (found - published).abs().max() < case["tolerance"]["out_abs"]
    apart = (found - dense).abs().amax(dim=(1, 2, 3))
    torch.testing.assert_close(apart, torch.tensor(case["max_dev_from_dense"]), rtol=0, atol=2e-5)
    for work, expected in zip(step.ledger.work, case["analyse"], strict=True):
        assert sum(layer.inputs for layer in work.values()) == expected["total_activation_numel"]
        zeros = sum(int(layer.zeros) for layer in work.values())
        assert abs(zeros - expected["total_zeros_cross_layers"]) <= 5
