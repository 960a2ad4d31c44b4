import pytest
import torch
from support import golden

from flowbench.ops.upsampling import upsample_bilinear, upsample_convex

FLOW = torch.from_numpy(golden.field(0, 6, 7))[None]


def test_bilinear_equals_the_published_implementation():
    expected = golden.array("util_samplers/upflow8.npy")
    torch.testing.assert_close(upsample_bilinear(FLOW), expected, rtol=0, atol=1e-5)


def test_convex_equals_the_published_implementation():
    expected = golden.array("util_samplers/convex_up.npy")
    found = upsample_convex(FLOW, golden.drawn("upmask", (1, 576, 6, 7)))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_convex_takes_each_fine_pixel_from_the_neighbour_that_its_mask_names(factor):
    """All weight on the right-hand neighbour: the flow moves one coarse pixel to the left."""
    flow = torch.randn(2, 2, 4, 5)
    mask = torch.zeros(2, 9, factor * factor, 4, 5)
    mask[:, 5] = 1000.0
    found = upsample_convex(flow, mask.flatten(1, 2), factor)
    expected = factor * flow.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    torch.testing.assert_close(found[..., :-factor], expected[..., factor:])
    assert not found[..., -factor:].any()


def test_half_precision_does_not_round_the_flow():
    flow, mask = 12.3456 + FLOW, golden.drawn("upmask", (1, 576, 6, 7))
    with torch.autocast("cpu", torch.bfloat16):
        found = upsample_convex(flow, mask)
    assert torch.equal(found, upsample_convex(flow, mask))
    assert upsample_convex(flow.half(), mask.half()).dtype == torch.float32
