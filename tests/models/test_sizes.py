"""Estimates at another size, and tile by tile."""

import pytest
import torch
import torch.nn.functional as F
from support.models import short_model
from support.runs import ROOT
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import flowbench
from flowbench.errors import FlowBenchError
from flowbench.io import read_image
from flowbench.models.base import FlowModel
from flowbench.models.sizes import estimation_size
from flowbench.models.tiles import Tiles, chosen_tiles
from flowbench.networks.base import FlowNetwork
from flowbench.objectives import SequenceLoss
from flowbench.ops.padding import InputPadder, InputResizer
from flowbench.structures import FlowOutput

FAMILIES = ["raft_small", "deqflow_tiny", "deltadeq_tiny", "fastflownet", "lightflow_05"]


class Local(FlowNetwork):
    """Each pixel's flow depends on the 15 x 15 pixels around it, and on where it lies in a cell of 8 x 8."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(*[nn.Conv2d(6 if n == 0 else 8, 8 if n < 6 else 2, 3, padding=1) for n in range(7)])
        self.sizes = []

    def normalise(self, image1, image2):
        mean = image1.mean(dim=(2, 3), keepdim=True)
        return image1 - mean, image2 - mean

    def forward(self, image1, image2, reuse=None, normalised=False):
        self.sizes.append(tuple(image1.shape[-2:]))
        flow = self.layers(torch.cat([image1, image2], dim=1))
        cells = F.interpolate(flow[..., ::8, ::8], scale_factor=8, mode="nearest")
        return FlowOutput(flow + cells, stats={"steps": torch.ones(len(image1))})


@pytest.fixture
def local():
    return FlowModel(name="local", network=Local(), objective=SequenceLoss(), padder=InputPadder())


@pytest.mark.parametrize("size", [(330, 471), (250, 700), (100, 300)])
def test_tiles_of_a_local_network_give_the_same_flow(local, size):
    images = torch.rand(2, 2, 3, *size)
    whole = local.estimate(*images).flow
    local.network.sizes.clear()
    output = local.estimate(*images, tile=128, overlap=64)
    torch.testing.assert_close(output.flow, whole, atol=1e-5, rtol=0)
    assert max(max(seen) for seen in local.network.sizes) == 128
    assert output.stats == {}


def test_tiles_change_the_flow_of_film_frames_little():
    """A network that sees far: the two differ, but on average by less than a twentieth of the motion."""
    model = flowbench.load("fastflownet", ROOT / "weights" / "fastflownet.safetensors")
    frames = [read_image(ROOT / "assets" / "sintel" / f"frame_00{number}.png") for number in (16, 17)]
    whole = model.estimate(*frames).flow
    tiled = model.estimate(*frames, tile=256, overlap=128).flow
    assert 0 < (tiled - whole).norm(dim=1).mean() < 0.05 * whole.norm(dim=1).mean()


class Largest(TorchDispatchMode):
    """numel: of the largest tensor that is made while it is on."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)]
        self.numel = max([self.numel, *sizes])
        return made


def test_tiles_bound_the_largest_tensor():
    """All-pairs correlation grows with the square of the pixels, and with tiles not beyond that of one tile."""
    model = short_model("raft_small", iterations=1).eval()
    largest = {}
    for width, tile in ((128, None), (512, None), (512, 128)):
        with Largest() as seen:
            model.estimate(*torch.rand(2, 1, 3, 128, width), tile=tile)
        largest[width, tile] = seen.numel
    assert largest[512, 128] == largest[128, None]
    assert largest[512, None] > 3 * largest[512, 128]


@pytest.mark.parametrize("side", [128, 192])
@pytest.mark.parametrize("length", [130, 192, 200, 500, 513])
def test_weights_of_tiles_cover_every_pixel(side, length):
    tiles = Tiles(side, 64)
    covered = torch.zeros(max(length, side))
    for start in tiles._starts(length):
        covered[start : start + min(side, length)] += tiles._weight(start, length, like=covered)
    assert covered[:length].min() >= 1


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_estimates_tiles_within_a_cascade(name):
    model = short_model(name).eval()
    image1, image2 = torch.rand(2, 1, 3, 150, 282)
    flow = model.estimate(image1, image2, cascade=[2, 1], tile=128).flow
    assert flow.shape == (1, 2, 150, 282)
    assert torch.isfinite(flow).all()


class Shift(FlowNetwork):
    """Says that everything moves by a fortieth of the image's width."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.025))

    def normalise(self, image1, image2):
        return image1, image2

    def forward(self, image1, image2, reuse=None, normalised=False):
        flow = torch.zeros_like(image1[:, :2])
        flow[:, 0] = self.share * image1.shape[-1]
        return FlowOutput(flow, reuse=flow.shape)


@pytest.mark.parametrize(
    ("sizes", "seen"), [({"scale": 0.5}, 160), ({"max_side": 80}, 80), ({"scale": 2}, 640), ({}, 320)]
)
def test_flow_of_another_size_is_brought_back(sizes, seen):
    model = FlowModel(name="shift", network=Shift(), objective=SequenceLoss(), padder=InputResizer(8))
    output = model.estimate(*torch.rand(2, 1, 3, 160, 320), **sizes)
    assert output.reuse[-1] == seen
    torch.testing.assert_close(output.flow[:, 0], torch.full((1, 160, 320), 8.0))
    assert not output.flow[:, 1].any()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"scale": 0.5}, (218, 512)),
        ({"max_side": 512}, (218, 512)),
        ({"max_side": 2000}, (436, 1024)),
        ({}, (436, 1024)),
        ({"scale": 0.0001}, (1, 1)),
    ],
)
def test_sizes(settings, expected):
    assert estimation_size((436, 1024), **settings) == expected


@pytest.mark.parametrize("wrong", [{"scale": 0}, {"scale": 9}, {"scale": -1}, {"max_side": 0}, {"max_side": 1.5}])
def test_senseless_sizes_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(FlowBenchError, match=f"{name}={value}: "):
        estimation_size((436, 1024), **wrong)


def test_scale_and_max_side_exclude_each_other():
    with pytest.raises(FlowBenchError, match=r"scale=0\.5 and max_side=512 both choose the size: give one"):
        estimation_size((436, 1024), scale=0.5, max_side=512)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            (100, None, 8),
            "tile=100: this network takes tiles of at least 128 pixels a side, in multiples of 8, such as tile=128",
        ),
        ((500, None, 64), "in multiples of 64, such as tile=512"),
        ((512, 300, 4), "overlap=300: between 1 and 256 pixels"),
        ((512, 100, 64), "overlap=100"),
        ((512, 0, 8), "overlap=0"),
        ((None, 64, 8), "overlap=64 is of tiles, and there are none"),
    ],
)
def test_senseless_tiles_are_refused(settings, message):
    with pytest.raises(FlowBenchError, match=message):
        chosen_tiles(*settings)


def test_tiles_take_nothing_from_the_pair_before():
    model = short_model("raft_small").eval()
    images = torch.rand(2, 1, 3, 128, 200)
    reuse = model.estimate(*images).reuse
    with pytest.raises(FlowBenchError, match="cannot begin at the flow of the pair before"):
        model.estimate(*images, reuse, tile=128)
    with pytest.raises(FlowBenchError, match="tile=128 starts each pair anew, but warm_start=true"):
        chosen_tiles(128, None, warm_start=True)


def test_a_video_starts_warm_at_another_size():
    model = short_model("raft_small").eval()
    first, second, third = torch.rand(3, 1, 3, 160, 200)
    warm = model.warm_started(scale=0.5)
    warm.estimate(first, second)
    assert warm.estimate(second, third).flow.shape == (1, 2, 160, 200)
    assert warm.warm_pairs == 1
