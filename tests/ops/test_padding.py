import pytest
import torch
from support import golden

from flowbench.errors import FlowBenchError
from flowbench.ops.padding import InputPadder, InputResizer

CASE = golden.case("util_padder")


@pytest.mark.parametrize("item", CASE["items"], ids=lambda item: str(item["shape"]))
def test_borders_equal_the_published_implementation(item):
    padding = InputPadder(mode=item["mode"])
    assert list(padding.borders(*item["shape"])) == item["pad_left_right_top_bottom"]
    assert list(padding.pad(torch.zeros(1, 1, *item["shape"])).shape[-2:]) == item["padded"]


@pytest.mark.parametrize("mode", ["sintel", "kitti"])
def test_values_equal_the_published_implementation(mode):
    image = torch.arange(13.0 * 21).view(1, 1, 13, 21)
    assert InputPadder(mode=mode, minimum=8).pad(image)[0, 0].tolist() == CASE["small"][mode]


@pytest.mark.parametrize("mode", ["sintel", "kitti"])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (57, 71), (70, 65)])
def test_restoring_takes_the_padding_off(mode, height, width):
    padding, flow = InputPadder(mode=mode), torch.rand(2, 2, height, width)
    padded = padding.pad(flow)
    assert padded.shape[-2] % 8 == padded.shape[-1] % 8 == 0
    assert torch.equal(padding.unpad(padded, height, width), flow)


@pytest.mark.parametrize(("height", "width"), [(5, 5), (56, 200), (200, 56)])
def test_a_picture_below_the_minimum_is_refused(height, width):
    with pytest.raises(FlowBenchError, match=f"{width}x{height} pixels is too small .* at least 57"):
        InputPadder().pad(torch.zeros(1, 3, height, width))


def test_an_unknown_mode_is_refused():
    with pytest.raises(FlowBenchError, match="'chairs': choose sintel or kitti"):
        InputPadder(mode="chairs")


@pytest.mark.parametrize(("height", "width"), [(64, 128), (65, 64), (436, 1024), (10, 1)])
def test_resizing_enlarges_to_the_next_multiples(height, width):
    padded = InputResizer().pad(torch.zeros(1, 3, height, width))
    assert list(padded.shape[-2:]) == [-(-height // 64) * 64, -(-width // 64) * 64]


def test_resizing_to_one_size():
    """KITTI's 375x1242 at 512x1024: a pan by (12.42, -3.75) px is one by (10.24, -5.12) px there."""
    resizing = InputResizer(size=[512, 1024])
    assert resizing.pad(torch.zeros(1, 3, 375, 1242)).shape == (1, 3, 512, 1024)
    flow = torch.tensor([10.24, -5.12]).view(1, 2, 1, 1).expand(1, 2, 512, 1024)
    expected = torch.tensor([12.42, -3.75]).view(1, 2, 1, 1).expand(1, 2, 375, 1242)
    torch.testing.assert_close(resizing.unpad(flow, 375, 1242), expected)


@pytest.mark.parametrize("size", [[512], [375, 1242], [0, 64], [512, 1024, 3], 512, [512.0, 1024.0], "512"])
def test_a_size_that_no_network_takes_is_refused(size):
    with pytest.raises(FlowBenchError, match=r"The padder's size is .*: give \[height, width\] in multiples of 64"):
        InputResizer(size=size)


def test_resizing_leaves_alone_what_fits():
    image = torch.rand(1, 3, 64, 128)
    assert InputResizer().pad(image) is image
    assert torch.equal(InputResizer().unpad(image[:, :2], 64, 128), image[:, :2])


def test_a_restored_flow_is_in_the_pictures_own_pixels():
    """A pan by (6, -4) px of 48x32 is one by (8, -8) px of 64x64."""
    flow = torch.tensor([8.0, -8.0]).view(1, 2, 1, 1).expand(1, 2, 64, 64)
    restored = InputResizer().unpad(flow, 32, 48)
    torch.testing.assert_close(restored, torch.tensor([6.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, 32, 48))
