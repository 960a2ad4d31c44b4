import numpy as np
import pytest
import torch
from support import golden

from flowbench.ops.sampling import coordinate_grid, project_forward, sample_bilinear, warp


def test_samples_equal_the_published_implementation():
    case = golden.case("util_samplers")
    row, column = np.mgrid[:8, :12].astype(np.float64)
    x = -2.3 + (11 + 3.7) * column / 11 + 0.4 * np.sin(row)
    y = -1.9 + (9 + 2.9) * row / 7 + 0.3 * np.cos(column)
    coords = torch.from_numpy(np.stack([x, y]).astype(np.float32))[None]
    found = sample_bilinear(golden.drawn("img", (1, 3, 9, 11)), coords)
    expected = golden.array("util_samplers/sampled.npy")
    torch.testing.assert_close(found, expected, rtol=0, atol=case["tolerance"]["abs"])


def test_a_map_of_one_pixel_fades_out_over_one_pixel():
    coords = torch.tensor([[0.0, 0.25, -0.5, 0.0, 1.0], [0.0, 0.0, 0.5, -0.75, 0.0]]).view(1, 2, 1, 5)
    found = sample_bilinear(torch.full((1, 1, 1, 1), 8.0), coords)
    assert found.flatten().tolist() == pytest.approx([8.0, 6.0, 2.0, 2.0, 0.0])


def test_the_grid_holds_x_then_y():
    grid = coordinate_grid(2, 2, 3, like=torch.zeros((), dtype=torch.float64))
    assert grid[1].tolist() == golden.case("util_samplers")["coords_grid_2x3"]
    assert grid.dtype == torch.float64


def test_warping_by_whole_pixels_shifts_the_picture_and_leaves_zeros():
    image = torch.rand(2, 3, 5, 7)
    flow = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(2, 2, 5, 7)
    warped = warp(image, flow)
    torch.testing.assert_close(warped[:, :, 1:, :-2], image[:, :, :-1, 2:])
    assert not warped[:, :, 0].any()
    assert not warped[..., -2:].any()


def test_warping_a_ramp_adds_the_flow():
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    flow = 4 * torch.rand(1, 2, 20, 30) - 2
    warped = warp((3 * x - 2 * y).view(1, 1, 20, 30), flow)
    expected = 3 * (x + flow[:, 0]) - 2 * (y + flow[:, 1])
    torch.testing.assert_close(warped[0, :, 3:-3, 3:-3], expected[:, 3:-3, 3:-3])


def test_projection_equals_the_published_implementation():
    case = golden.case("util_forward_interpolate")
    flow = torch.from_numpy(golden.field(0, 40, 56))[None]
    error = (project_forward(flow)[0] - golden.array("util_forward_interpolate/result.npy")).abs()
    within = (error <= case["tolerance"]["abs"]).float().mean()
    assert within >= case["tolerance"]["fraction"]


def test_projection_carries_a_moving_square_along():
    flow = torch.zeros(1, 2, 16, 20)
    flow[:, 0, 4:8, 5:9] = 6.0
    moved = project_forward(flow)
    assert (moved[:, 0, 4:8, 11:15] == 6.0).float().mean() > 0.5
    assert not moved[:, 0, :, :9].any()


def test_projection_is_zero_where_nothing_lands_inside():
    flow = torch.stack([torch.full((2, 6, 8), 100.0), torch.full((2, 6, 8), 0.5)]).to(torch.float16)
    projected = project_forward(flow)
    assert not projected[0].any()
    assert torch.equal(projected[1], flow[1])
    assert projected.dtype == flow.dtype


@pytest.mark.parametrize("edge", [0.0, 8.0])
@pytest.mark.parametrize("axis", [0, 1])
def test_projection_drops_what_lands_on_the_edge(axis, edge):
    """Every pixel of an 8x8 picture moves onto one line: just outside the picture, or just inside."""
    coords = coordinate_grid(1, 8, 8, like=torch.zeros(()))
    flow = torch.full((1, 2, 8, 8), 0.5)
    flow[:, axis] = edge - coords[:, axis]
    assert not project_forward(flow).any()
    flow[:, axis] += 0.1 if edge == 0 else -0.1
    assert project_forward(flow).any()
