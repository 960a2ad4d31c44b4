import pytest
import torch
import torch.nn.functional as F
from support import golden
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from flowbench.errors import FlowBenchError
from flowbench.ops import windows
from flowbench.ops.correlation import build_correlation, volume_bytes
from flowbench.ops.sampling import coordinate_grid

KINDS = ["all_pairs", "on_demand"]
# (batch, height, width, levels, radius), down to the smallest map that the levels allow.
SIZES = [(2, 8, 8, 4, 4), (1, 9, 15, 4, 3), (2, 16, 11, 3, 4), (2, 5, 4, 2, 1), (1, 1, 1, 1, 2), (1, 1, 6, 1, 0)]


def brute_force(features1: Tensor, features2: Tensor, coords: Tensor, levels: int, radius: int) -> Tensor:
    """The definition, weight by weight: every target counts by max(0, 1 - |dx|) * max(0, 1 - |dy|)."""
    batch, channels, height, width = features1.shape
    volume = torch.einsum("bchw,bcyx->bhwyx", features1, features2) / channels**0.5
    window = torch.arange(-radius, radius + 1)
    levels_found = []
    for level in range(levels):
        x, y = (coords[:, axis, ..., None] / 2**level + window for axis in (0, 1))
        weights_x = F.relu(1 - (x[..., None] - torch.arange(volume.shape[-1])).abs())
        weights_y = F.relu(1 - (y[..., None] - torch.arange(volume.shape[-2])).abs())
        levels_found.append(torch.einsum("bhwyx,bhwix,bhwjy->bhwij", volume, weights_x, weights_y).flatten(3))
        if level + 1 < levels:
            volume = F.avg_pool2d(volume.flatten(0, 2), 2).unflatten(0, (batch, height, width))
    return torch.cat(levels_found, dim=-1).permute(0, 3, 1, 2)


def lookup(kind: str, features1: Tensor, features2: Tensor, coords: Tensor, levels: int, radius: int) -> Tensor:
    return build_correlation(features1, features2, levels=levels, radius=radius, kind=kind).lookup(coords)


def inputs(batch: int, height: int, width: int, channels: int = 6, dtype=torch.float32) -> list[Tensor]:
    """Feature maps, and coordinates inside, across the border and far outside."""
    features = [torch.randn(batch, channels, height, width, dtype=dtype) for _ in range(2)]
    coords = coordinate_grid(batch, height, width, like=features[0]) + 4 * torch.randn(batch, 2, height, width)
    coords[:, :, 0, 0] = -1e6
    coords[:, 1, -1, -1] = 1e6
    return [tensor.requires_grad_() for tensor in (*features, coords.to(dtype))]


def value_and_gradients(function, tensors: list[Tensor], *sizes: int) -> list[Tensor]:
    value = function(*tensors, *sizes)
    weights = golden.drawn("weights", tuple(value.shape)).to(value)
    return [value.detach(), *torch.autograd.grad((value * weights).sum(), tensors)]


def assert_relatively_close(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= tolerance * other.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_lookup_equals_the_published_implementation(kind):
    case = golden.case("util_corr_r4")
    features1, features2 = (golden.drawn(name, (1, 8, 16, 24)) for name in ("fmap1", "fmap2"))
    coords = coordinate_grid(1, 16, 24, like=features1) + torch.from_numpy(golden.field(1, 16, 24))
    found = lookup(kind, features1, features2, coords, case["levels"], case["radius"])
    assert list(found.shape) == case["output_shape"]
    expected = golden.array("util_corr_r4/lookup_sub.npy")
    torch.testing.assert_close(found[:, :, ::3, ::3], expected, rtol=0, atol=case["tolerance"]["abs"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_values_and_gradients_equal_brute_force(kind, size):
    *shape, levels, radius = size
    tensors = inputs(*shape, dtype=torch.float64)
    found = value_and_gradients(lambda *arguments: lookup(kind, *arguments), tensors, levels, radius)
    assert_relatively_close(found, value_and_gradients(brute_force, tensors, levels, radius), 1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_both_kinds_agree_in_float32(size):
    *shape, levels, radius = size
    tensors = inputs(*shape)
    found = [
        value_and_gradients(lambda *arguments, kind=kind: lookup(kind, *arguments), tensors, levels, radius)
        for kind in KINDS
    ]
    assert_relatively_close(*found, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_far_outside_the_map_the_correlation_is_zero(kind):
    features1, features2, _ = inputs(1, 8, 9)
    for far in (-1e6, 40.0, 1e6):
        assert not lookup(kind, features1, features2, torch.full((1, 2, 8, 9), far), levels=2, radius=4).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("levels", [1, 2])
def test_gradients_are_those_of_finite_differences(kind, levels):
    features1, features2, _ = inputs(1, 8, 9, channels=3, dtype=torch.float64)
    # Kinks lie at whole coordinates; at half resolution too these stay 0.1 away.
    coords = coordinate_grid(1, 8, 9, like=features1) + torch.randint(-3, 3, (1, 2, 8, 9)) + 0.2
    coords = (coords + 0.6 * torch.rand_like(coords)).requires_grad_()
    tensors = (features1, features2, coords)

    def function(*tensors):
        return lookup(kind, *tensors, levels=levels, radius=1)

    assert torch.autograd.gradcheck(function, tensors, fast_mode=levels == 1)
    assert torch.autograd.gradgradcheck(function, tensors, fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_are_correlated_in_float32(kind, dtype):
    features1, features2, coords = inputs(1, 8, 9)
    halves = features1.to(dtype), features2.to(dtype)
    found = lookup(kind, *halves, coords, levels=3, radius=2)
    expected = brute_force(*(half.double() for half in halves), coords.double(), 3, 2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_does_not_lower_the_precision(kind):
    features1, features2, coords = inputs(1, 8, 9)
    expected = lookup(kind, features1, features2, coords, levels=3, radius=2)
    with torch.autocast("cpu", torch.bfloat16):
        found = lookup(kind, features1, features2, coords, levels=3, radius=2)
    assert torch.equal(found, expected)


def test_working_in_chunks_changes_nothing(monkeypatch):
    tensors = inputs(2, 9, 10)
    whole = value_and_gradients(lambda *arguments: lookup("on_demand", *arguments), tensors, 2, 3)
    # 7 of the 180 positions at a time: the last chunk is a smaller one.
    monkeypatch.setattr(windows, "_CHUNK_BYTES", 7 * (2 * 8 * 8) * 6 * 4)
    chunked = value_and_gradients(lambda *arguments: lookup("on_demand", *arguments), tensors, 2, 3)
    assert_relatively_close(chunked, whole, 1e-6)


class LargestTensor(TorchDispatchMode):
    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_iter(result) if isinstance(leaf, Tensor)]
        self.elements = max(self.elements, *sizes, 0)
        return result


@pytest.mark.parametrize("kind", KINDS)
def test_only_all_pairs_stores_the_volume(kind, monkeypatch):
    monkeypatch.setattr(windows, "_CHUNK_BYTES", 1 << 20)
    height, width = 40, 48
    tensors = inputs(1, height, width, channels=16)
    with LargestTensor() as largest:
        value_and_gradients(lambda *arguments: lookup(kind, *arguments), tensors, 4, 3)
    volume = (height * width) ** 2
    assert largest.elements >= volume if kind == "all_pairs" else largest.elements < volume / 4


def test_volume_bytes_are_those_of_the_pyramid():
    shapes = [level["shape"] for level in golden.case("util_corr_r4")["pyramid"]]
    assert volume_bytes(16, 24) == 4 * sum(torch.Size(shape).numel() for shape in shapes)
    assert volume_bytes(16, 24, batch=3, element_bytes=2) == 1.5 * volume_bytes(16, 24)


@pytest.mark.parametrize(("height", "width"), [(7, 20), (20, 7)])
def test_a_map_below_the_pyramid_is_refused(height, width):
    features = torch.zeros(1, 4, height, width)
    with pytest.raises(FlowBenchError, match=f"{height}x{width} is too small for 4 .* at least 8"):
        build_correlation(features, features, levels=4)


def test_an_unknown_kind_is_refused():
    features = torch.zeros(1, 4, 8, 8)
    with pytest.raises(FlowBenchError, match="'alt': choose one of all_pairs, on_demand"):
        build_correlation(features, features, kind="alt")


def test_a_volume_that_cannot_fit_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr("flowbench.ops.correlation.total_memory", lambda device: 2**20)
    features = torch.zeros(1, 2, 64, 64)
    with pytest.raises(FlowBenchError, match=r"0\.1 GiB, more than the 0\.0 GiB of the cpu: set correlation=on_demand"):
        build_correlation(features, features)
    assert build_correlation(features, features, kind="on_demand").lookup(torch.zeros(1, 2, 64, 64)).shape[1] == 324


class _Copies(TorchDispatchMode):
    """Tensors made of Python numbers, and numbers read from tensors: on a GPU each of them is waited for."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.name() in ("aten::lift_fresh", "aten::_local_scalar_dense", "aten::nonzero"):
            self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_lookup_makes_no_tensor_from_a_list(kind):
    features1, features2, coords = (tensor.detach() for tensor in inputs(2, 16, 11))
    with _Copies() as made:
        correlation = build_correlation(features1, features2, levels=3, radius=4, kind=kind)
    assert made.count > 0
    with _Copies() as copies:
        correlation.lookup(coords)
    assert copies.count == 0
