"""Several training samples of one pair, and how batches travel."""

import pytest
import torch
from support.batches import Samples, addressed_sample

from flowbench.data.datamodule import FlowDataModule
from flowbench.data.mixing import Part
from flowbench.data.sampler import ProcessRank, Stage, TrainingSampler
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowBatch


class Counted(Samples):
    """Counts what is read."""

    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        return super().__getitem__(index)


def data_of(samples, **options):
    from types import SimpleNamespace

    data = FlowDataModule(name="addressed", train={"all": Part(samples)}, crop=(8, 8), steps=4, workers=0, **options)
    data.trainer = SimpleNamespace(global_step=0, global_rank=0, world_size=1, accumulate_grad_batches=1)
    return data


def test_crops_of_a_pair_follow_each_other_and_differ():
    samples = Counted(5, addressed_sample)
    batches = list(data_of(samples, batch_size=6, crops_per_scene=3).train_dataloader())
    keys = [key for batch in batches for key in batch.key]
    assert [keys[start : start + 3] for start in range(0, 24, 3)] == [[key] * 3 for key in keys[::3]]
    assert len(set(keys[:15])) == 5
    corners = {tuple(flow[:, 0, 0].tolist()) for flow in batches[0].flow[:3]}
    assert len(corners) > 1
    # Eight pairs were read for 24 samples, one pass ending and the next beginning with different pairs or the same one.
    assert samples.reads <= 8


def test_processes_share_out_the_positions_of_one():
    settings = {"stages": [Stage(0, range(7))], "first_step": 0, "last_step": 5, "seed": 3, "crops": 2}
    alone = [address for batch in TrainingSampler(batch_size=4, **settings) for address in batch]
    shared = zip(*(TrainingSampler(batch_size=2, process=ProcessRank(rank, 2), **settings) for rank in range(2)))
    assert [address for pair in shared for batch in pair for address in batch] == alone
    assert [position for position, _ in alone] == list(range(20))


def test_images_travel_as_bytes_and_arrive_as_numbers():
    samples = [addressed_sample(index) for index in range(2)]
    packed, expected = FlowBatch.packed(samples), FlowBatch.collate(samples)
    assert (packed.image1.dtype, packed.flow.dtype) == (torch.uint8, torch.float32)
    arrived = packed.unpacked()
    for name in ("image1", "image2", "flow", "valid", "occluded"):
        assert torch.equal(getattr(arrived, name), getattr(expected, name))
    assert (arrived.image1.max(), arrived.image1.dtype) == (packed.image1.max() / 255, torch.float32)


def test_flow_in_half_precision_is_as_exact_as_stated():
    def far(index):
        sample = addressed_sample(index)
        sample.flow[...] = torch.linspace(-255.9, 255.9, sample.flow.size).reshape(sample.flow.shape).numpy()
        return sample

    exact, half = (FlowBatch.packed([far(0)], half_flow=half) for half in (False, True))
    assert half.flow.dtype == torch.float16
    off = (half.unpacked().flow - exact.flow).abs()
    assert off.max() <= 1 / 16
    assert off[exact.flow.abs() < 128].max() <= 1 / 32
    assert off.max() > 0


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_a_senseless_number_of_crops_is_refused(wrong):
    with pytest.raises(FlowBenchError, match="crops_per_scene"):
        data_of(Samples(2), crops_per_scene=wrong)
