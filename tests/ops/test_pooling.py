import torch
import torch.nn.functional as F

from flowbench.ops.pooling import pool_flow

SIZE = (3, 4)


def test_dense_truth_is_averaged():
    flow = torch.randn(2, 2, 12, 16)
    pooled, known = pool_flow(flow, torch.ones(2, 12, 16, dtype=torch.bool), SIZE)
    torch.testing.assert_close(pooled, F.avg_pool2d(flow, 4))
    assert known.all()


def test_sparse_truth_is_averaged_over_what_is_known():
    flow, valid = torch.randn(1, 2, 12, 16), torch.rand(1, 12, 16) < 0.3
    valid[0, :4, :4] = False
    flow[:, :, :4, :4] = torch.nan
    pooled, known = pool_flow(flow, valid, SIZE)
    assert not known[0, 0, 0]
    assert torch.equal(pooled[0, :, 0, 0], torch.zeros(2))
    cell = flow[0, :, 4:8, 8:12][:, valid[0, 4:8, 8:12]]
    torch.testing.assert_close(pooled[0, :, 1, 2], cell.mean(dim=1))


def test_extremes():
    flow = torch.tensor([[[[1.0, 3.0], [-2.0, 0.0]], [[-1.0, -4.0], [0.0, -2.0]]]])
    pooled, _ = pool_flow(flow, torch.ones(1, 2, 2, dtype=torch.bool), (1, 1), "extreme")
    assert pooled.flatten().tolist() == [1.0, -4.0]
