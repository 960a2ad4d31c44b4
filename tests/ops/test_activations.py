import pytest
import torch

from flowbench.ops.activations import tanh


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 2e-7), (torch.float64, 0), (torch.bfloat16, 0)])
@pytest.mark.parametrize("grad", [True, False])
def test_tanh_is_that_of_pytorch(dtype, apart, grad):
    x = torch.cat([torch.linspace(-12, 12, 20001), torch.tensor([0.0, -90.0, 90.0, float("inf"), -float("inf")])])
    with torch.set_grad_enabled(grad):
        found = tanh(x.to(dtype))
    assert found.dtype == dtype
    expected = x.to(dtype).tanh()
    assert (found - expected).abs().max() <= apart
    assert tanh(torch.tensor(float("nan"))).isnan()


def test_tanh_leaves_its_input_alone_and_passes_on_gradient():
    with torch.no_grad():
        x = torch.ones(3)
        tanh(x)
        assert torch.equal(x, torch.ones(3))
    x = torch.ones(3, requires_grad=True)
    tanh(x).sum().backward()
    torch.testing.assert_close(x.grad, 1 - torch.ones(3).tanh().square())
