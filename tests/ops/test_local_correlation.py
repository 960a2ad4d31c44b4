import pytest
import torch
import torch.nn.functional as F
from support import golden

from flowbench.networks.fastflownet import DISPLACEMENTS
from flowbench.ops.local_correlation import local_correlation, square_displacements


def naive(features1, features2, displacements):
    """One pixel after the other."""
    batch, channels, height, width = features1.shape
    found = features1.new_zeros(batch, len(displacements), height, width)
    for index, (dy, dx) in enumerate(displacements):
        for y in range(max(0, -dy), min(height, height - dy)):
            for x in range(max(0, -dx), min(width, width - dx)):
                products = features1[:, :, y, x] * features2[:, :, y + dy, x + dx]
                found[:, index, y, x] = products.sum(dim=1) / channels
    return found


def test_equals_the_published_implementation():
    case = golden.case("ffn_units")
    features = [golden.drawn(name, tuple(case["shape"])) for name in ("fmap1", "fmap2")]
    expected = golden.array("ffn_units/corr81.npy")
    found = local_correlation(*features, square_displacements(4))
    assert (found - expected).abs().max() < case["tolerance"]["abs"]
    chosen = local_correlation(*features, DISPLACEMENTS)
    assert (chosen - expected[:, case["cddc_index"]]).abs().max() < case["tolerance"]["abs"]


@pytest.mark.parametrize("displacements", [DISPLACEMENTS, [(0, 0)], [(2, -3), (0, 1)]])
def test_equals_a_loop_over_the_pixels(displacements):
    features = torch.randn(2, 2, 3, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(
        local_correlation(*features, displacements), naive(*features, displacements), rtol=1e-12, atol=1e-12
    )


def test_gradients():
    features = [torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(lambda a, b: local_correlation(a, b, DISPLACEMENTS[::5]), features)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_equal_those_of_ordinary_operations(layout):
    features = torch.randn(2, 1, 8, 9, 7, dtype=torch.float64)
    weights = torch.randn(1, 53, 9, 7, dtype=torch.float64)

    def straightforward(first, second):
        padded = F.pad(second, [4] * 4)
        windows = [padded[:, :, 4 + dy : 13 + dy, 4 + dx : 11 + dx] for dy, dx in DISPLACEMENTS]
        return torch.stack([(first * window).mean(dim=1) for window in windows], dim=1)

    gradients = []
    for correlate in (straightforward, lambda first, second: local_correlation(first, second, DISPLACEMENTS)):
        inputs = [part.contiguous(memory_format=layout).requires_grad_() for part in features.clone()]
        (correlate(*inputs) * weights).sum().backward()
        gradients.append([part.grad for part in inputs])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=1e-12)


def test_one_map_may_be_fixed():
    first, second = torch.randn(1, 2, 3, 3, requires_grad=True), torch.randn(1, 2, 3, 3)
    local_correlation(first, second, [(0, 1)]).sum().backward()
    assert first.grad is not None
    assert second.grad is None


def test_half_precision_is_summed_in_full():
    features = torch.randn(2, 1, 64, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        found = local_correlation(features[0].bfloat16(), features[1].bfloat16(), [(0, 0)])
    assert found.dtype == torch.float32
    rounded = features.bfloat16().float()
    torch.testing.assert_close(found, (rounded[0] * rounded[1]).mean(dim=1, keepdim=True))
