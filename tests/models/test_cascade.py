"""Coarse-to-fine estimates."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.models import short_model
from torch import nn

from flowbench.errors import FlowBenchError
from flowbench.models.base import TRAINING_SIZE, FlowModel
from flowbench.models.cascade import Cascade, chosen_cascade
from flowbench.networks.base import FlowNetwork
from flowbench.objectives import SequenceLoss
from flowbench.ops.padding import InputResizer
from flowbench.structures import FlowOutput


class ShortSighted(FlowNetwork):
    """Finds the one horizontal shift that explains image 2 best, among those of at most 12 pixels."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.reach = nn.Parameter(torch.tensor(12.0))

    def normalise(self, image1, image2):
        return image1, image2

    def forward(self, image1, image2, reuse=None, normalised=False):
        errors = {}
        for shift in range(-int(self.reach), int(self.reach) + 1):
            first = image1[..., max(0, -shift) : image1.shape[-1] - max(0, shift)]
            second = image2[..., max(0, shift) : image2.shape[-1] + min(0, shift)]
            errors[shift] = (first - second).abs().mean().item()
        flow = torch.zeros(len(image1), 2, *image1.shape[-2:])
        flow[:, 0] = min(errors, key=errors.get)
        return FlowOutput(flow)


def smooth_pair(shift: int, height: int = 256, width: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Blobs of many sizes that move to the right."""
    generator = torch.Generator().manual_seed(0)
    image = sum(
        F.interpolate(
            torch.rand(1, 3, size, 2 * size + 2, generator=generator), (height, width + shift), mode="bicubic"
        )
        for size in (2, 4, 8, 16, 64)
    )
    image = (image - image.min()) / (image.max() - image.min())
    return image[..., shift:].contiguous(), image[..., :width].contiguous()


@pytest.fixture
def short_sighted():
    return FlowModel(name="short", network=ShortSighted(), objective=SequenceLoss(), padder=InputResizer(8))


def test_a_cascade_finds_a_shift_that_the_plain_call_misses(short_sighted):
    image1, image2 = smooth_pair(150)
    inside = (slice(None), slice(None), slice(None), slice(0, 300))
    truth = torch.tensor([150.0, 0.0]).view(1, 2, 1, 1)
    errors = {}
    for cascade in (None, Cascade((16, 8, 4, 2, 1))):
        flow = short_sighted.estimate(image1, image2, cascade=cascade).flow
        errors[cascade] = (flow - truth)[inside].norm(dim=1).mean().item()
    plain, coarse_to_fine = errors.values()
    assert plain > 130
    assert coarse_to_fine < 1


def test_what_is_left_continues_the_flow_where_it_leads():
    """A flow that differs from pixel to pixel: adding without looking it up there would be off by the difference."""
    rest = 6.0
    x = torch.arange(64.0).expand(1, 1, 32, 64)
    flows = iter([torch.cat([0.25 * x[..., :32, :], 0 * x], dim=1)[..., ::2, ::2], torch.tensor([rest, 0.0])])

    def estimate(image1, image2):
        flow = next(flows)
        return FlowOutput(flow if flow.ndim == 4 else flow.view(1, 2, 1, 1).expand(1, 2, *image1.shape[-2:]))

    images = torch.rand(1, 3, 32, 64)
    found = Cascade((2, 1)).estimate(estimate, images, images).flow
    middle = slice(8, 48)
    # The half-size flow is 0.25 * 2 * x' at x' = x / 2 - 1 / 4, doubled.
    coarse = 2 * 0.25 * (x - 0.5)
    torch.testing.assert_close(found[:, :1, :, middle], (rest + coarse + 0.5 * rest)[..., middle])


def test_a_cascade_of_one_is_the_plain_call():
    model = short_model("raft_small").eval()
    images = torch.rand(2, 1, 3, 70, 90)
    plain = model.estimate(*images).flow
    assert torch.equal(model.estimate(*images, cascade=[1]).flow, plain)


@pytest.mark.parametrize("name", ["raft_small", "deqflow_tiny", "deltadeq_tiny", "fastflownet", "lightflow_05"])
def test_every_family_estimates_coarse_to_fine(name):
    model = short_model(name).eval()
    image1, image2 = torch.rand(2, 1, 3, 150, 182)
    flow = model.estimate(image1, image2, cascade=[2, 1]).flow
    assert flow.shape == (1, 2, 150, 182)
    assert torch.isfinite(flow).all()
    assert not torch.equal(model.estimate(image1, image2).flow, flow)


@pytest.mark.parametrize(
    ("size", "factors"),
    [((320, 448), (1,)), ((200, 300), (1,)), ((640, 448), (2, 1)), ((448, 1024), (4, 2, 1)), ((448, 896), (2, 1))],
)
def test_auto_halves_down_to_the_training_size(short_sighted, size, factors):
    assert Cascade.for_size(size, (320, 448)).factors == factors


def test_auto_needs_a_training_size(short_sighted):
    with pytest.raises(FlowBenchError, match="this checkpoint does not say"):
        short_sighted.estimate(*smooth_pair(10, 64, 128), cascade="auto")
    short_sighted.settings[TRAINING_SIZE] = [64, 64]
    flow = short_sighted.estimate(*smooth_pair(20, 64, 128), cascade="auto").flow
    np.testing.assert_allclose(flow[0, 0, :, 40:80].numpy(), 20, atol=1)


@pytest.mark.parametrize("wrong", [[], [1, 2], [2, 2, 1], [0], [2.5, 1], ["a"], "automatic", 3])
def test_senseless_cascades_are_refused(wrong):
    with pytest.raises(FlowBenchError, match="cascade="):
        chosen_cascade(wrong)
