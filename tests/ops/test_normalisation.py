import pytest
import torch
import torch.nn.functional as F

from flowbench.ops.normalisation import instance_norm


def value_and_gradient(function, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    value = function(x)
    (value * torch.arange(value.numel()).view(value.shape).sin()).sum().backward()
    return value.detach(), x.grad


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4), (torch.bfloat16, 0.05)]
)
def test_values_and_gradients_equal_those_of_torch(memory_format, dtype, tolerance):
    x = (3 * torch.randn(2, 5, 6, 7, dtype=torch.float64) + torch.arange(5).view(1, 5, 1, 1)).to(dtype)
    found = value_and_gradient(instance_norm, x.contiguous(memory_format=memory_format))
    expected = value_and_gradient(F.instance_norm, x.double())
    for one, other in zip(found, expected):
        assert one.dtype == dtype
        torch.testing.assert_close(one.double(), other, rtol=tolerance, atol=tolerance)


def test_an_activation_in_place_does_not_spoil_the_gradient():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    found = value_and_gradient(lambda x: instance_norm(x).relu_(), x)
    expected = value_and_gradient(lambda x: F.instance_norm(x).relu(), x)
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other)
