import copy

import pytest
import torch

from flowbench.networks.encoders import Encoder


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_recomputing_changes_neither_result_nor_gradient_nor_statistics(norm):
    plain = Encoder(outputs=16, norm=norm, stem=8, stages=(8, 12, 16)).double()
    recomputing = copy.deepcopy(plain)
    recomputing.recompute = True
    images = torch.rand(2, 3, 32, 40, dtype=torch.float64)
    results = [encoder(images) for encoder in (plain, recomputing)]
    assert torch.equal(*results)
    for result in results:
        result.square().sum().backward()
    for ours, theirs in zip(recomputing.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)
    for name, value in plain.state_dict().items():
        assert torch.equal(recomputing.state_dict()[name], value), name


def test_recomputing_keeps_less():
    kept = {}
    for recompute in (False, True):
        encoder = Encoder(outputs=16, norm="instance", stem=8, stages=(8, 12, 16), recompute=recompute)
        storages = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, storages=storages: (
                storages.update({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()}) or tensor
            ),
            lambda tensor: tensor,
        ):
            result = encoder(torch.rand(1, 3, 64, 64))
        kept[recompute] = sum(storages.values())
        del result
    assert kept[True] < 0.5 * kept[False]
