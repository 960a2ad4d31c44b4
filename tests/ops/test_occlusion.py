"""Occlusion by forward-backward consistency."""

import pytest
import torch

from flowbench.ops.occlusion import occluded_pixels


def test_what_a_moving_square_hides_and_what_leaves_the_image():
    """A square of 10 x 10 moves 6 pixels to the right over a background at rest."""
    flow, backward = torch.zeros(2, 1, 2, 40, 60)
    flow[:, 0, 10:20, 20:30] = 6
    backward[:, 0, 10:20, 26:36] = -6
    hidden = torch.zeros(1, 40, 60, dtype=torch.bool)
    hidden[:, 10:20, 30:36] = True
    assert torch.equal(occluded_pixels(flow, backward), hidden)
    # All of it goes on to the right, out of the image in the last six columns.
    everywhere = torch.tensor([6.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 40, 60)
    gone = torch.zeros(1, 40, 60, dtype=torch.bool)
    gone[..., -6:] = True
    assert torch.equal(occluded_pixels(everywhere, -everywhere), gone)


@pytest.mark.parametrize(("beyond", "occluded"), [(0.01, False), (0.49, False), (0.51, True)])
def test_the_image_ends_half_a_pixel_beyond_its_outermost_centres(beyond, occluded):
    flow = torch.tensor([beyond, -beyond]).view(1, 2, 1, 1).expand(1, 2, 20, 30)
    found = occluded_pixels(flow, -flow)
    assert not found[:, 1:, :-1].any()
    assert found[:, 0].all().item() is found[..., -1].all().item() is occluded


@pytest.mark.parametrize(
    ("missed", "numbers", "occluded"),
    [
        # 0.01 (10^2 + 9^2) + 0.5 = 2.31, more than 1^2 and less than 2^2.
        (1.0, {}, False),
        (2.0, {}, True),
        (2.0, {"absolute": 4.0}, False),
        (2.0, {"relative": 0.03}, False),
        (1.0, {"relative": 0.0}, True),
    ],
)
def test_what_may_be_missed(missed, numbers, occluded):
    flow = torch.tensor([10.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 20, 40)
    backward = torch.tensor([missed - 10, 0.0]).view(1, 2, 1, 1).expand(1, 2, 20, 40)
    assert occluded_pixels(flow, backward, **numbers)[0, 10, 10].item() is occluded
