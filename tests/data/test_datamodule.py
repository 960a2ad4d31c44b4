from types import SimpleNamespace

import pytest
import torch
from support.batches import Samples, addressed_sample
from torch.utils.data import DataLoader

from flowbench.data.augmentation.base import ImageNoise
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.mixing import Part
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowBatch


def data_of(count: int = 7, **changes) -> FlowDataModule:
    settings = {
        "name": "addressed",
        "train": {"addressed": Part(Samples(count, addressed_sample), [ImageNoise()])},
        "val": Samples(5, addressed_sample),
        "batch_size": 2,
        "crop": (16, 16),
        "steps": 6,
        "workers": 0,
    }
    data = FlowDataModule(**settings | changes)
    data.trainer = trainer_at(0)
    return data


def trainer_at(step: int, rank: int = 0, world: int = 1, accumulated: int = 1) -> SimpleNamespace:
    """What the data module asks of Lightning's trainer."""
    return SimpleNamespace(global_step=step, global_rank=rank, world_size=world, accumulate_grad_batches=accumulated)


def figures(loader: DataLoader) -> list[tuple]:
    """Everything in the batches, comparable."""
    return [
        (*batch.key, *(tensor.numpy().tobytes() for tensor in (batch.image1, batch.image2, batch.flow, batch.valid)))
        for batch in loader
    ]


def test_batches_are_as_the_networks_want_them():
    data = data_of()
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert isinstance(batch, FlowBatch)
    assert (batch.image1.shape, batch.flow.shape, batch.valid.shape) == ((2, 3, 16, 16), (2, 2, 16, 16), (2, 16, 16))
    assert (batch.image1.dtype, batch.flow.dtype, batch.valid.dtype) == (torch.float32, torch.float32, torch.bool)
    assert 0 <= batch.image1.min() < batch.image1.max() <= 1
    x = batch.flow[:, 0, 0]
    torch.testing.assert_close(x - x[:, :1], torch.arange(16.0).expand(2, 16))


def test_training_samples_do_not_depend_on_the_workers():
    alone, by_two = (data_of(workers=workers).train_dataloader() for workers in (0, 2))
    assert figures(alone) == figures(by_two)


def test_a_run_of_two_processes_draws_what_one_draws():
    whole = data_of(batch_size=4).train_dataloader()
    shares = []
    for rank in range(2):
        data = data_of()
        data.trainer = trainer_at(0, rank, world=2)
        shares.append(list(data.train_dataloader()))
    for batch, first, second in zip(whole, *shares, strict=True):
        assert batch.key == first.key + second.key
        assert torch.equal(batch.image1, torch.cat([first.image1, second.image1]))


@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_resumed_run_draws_the_rest_of_the_unbroken_one(accumulated):
    data = data_of()
    data.trainer = trainer_at(0, accumulated=accumulated)
    unbroken = figures(data.train_dataloader())
    assert len(unbroken) == 6 * accumulated
    data.trainer = trainer_at(4, accumulated=accumulated)
    assert figures(data.train_dataloader()) == unbroken[4 * accumulated :]


def test_passes_over_the_data_are_augmented_anew():
    data = data_of(count=1, batch_size=1)
    drawn = figures(data.train_dataloader())
    assert len(set(drawn)) == len(drawn)


def test_evaluation_shows_each_sample_once_and_whole():
    data = data_of(eval_batch_size=2)
    seen = [key for batch in data.val_dataloader() for key in batch.key]
    assert seen == [f"addressed/{index}" for index in range(5)]
    batch = next(iter(data.val_dataloader()))
    assert torch.equal(batch.flow[0].permute(1, 2, 0), torch.from_numpy(addressed_sample(0).flow))


def test_the_test_loop_runs_over_the_samples_that_were_chosen():
    data = data_of(test={"odd": Samples(3, addressed_sample), "even": Samples(4, addressed_sample)})
    for name, count in {"odd": 3, "even": 4}.items():
        data.test_on(data.split("test")[name])
        assert len(data.test_dataloader()) == count
    assert data.split("val") == {"val": data.val}
    assert [len(samples) for samples in data.split("train").values()] == [7]
    with pytest.raises(FlowBenchError, match="split 'vall': choose train, val, test, submission"):
        data.split("vall")


@pytest.mark.parametrize("empty", [None, Samples(0)])
def test_an_empty_split_is_an_error_that_names_it(empty):
    data = data_of(val=empty)
    with pytest.raises(FlowBenchError, match="data 'addressed' has no val pairs"):
        data.setup("fit")
    with pytest.raises(FlowBenchError, match="has no test pairs"):
        data.split("test")
    with pytest.raises(FlowBenchError, match="has no train pairs"):
        data_of(train={}).setup("fit")


def test_processes_share_out_the_validation_pairs_that_the_first_can_read():
    data = data_of(on_error="skip")
    data.trainer = trainer_at(0, rank=1, world=2)
    data.trainer.is_global_zero = False
    data.trainer.strategy = SimpleNamespace(broadcast=lambda found: ([0, 2, 3, 4], ["pair 1 is damaged"]))
    data.setup("fit")
    (first,), (second,) = (batch.key for batch in data.val_dataloader())
    assert (first, second) == (data.val.samples[2].key, data.val.samples[4].key)
    assert data.skipped == ["pair 1 is damaged"]


def test_a_crop_that_does_not_fit_shows_before_the_first_step():
    with pytest.raises(FlowBenchError, match=r"crop of 32x16 .* larger than sample addressed/0"):
        data_of(crop=(32, 16)).setup("fit")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"protocol": {"updates": "many"}}, r"protocol's updates are many: a whole number above zero"),
        ({"protocol": {"padding": "foo"}}, r"protocol's padding is foo: choose sintel, kitti or null"),
        ({"protocol": {"updats": 3}}, r"data\.protocol=.*updats"),
        ({"cache": "folder"}, r"data\.cache=folder: give \{folder: \.\.\., gigabytes"),
        ({"cache": {"folder": "x"}}, r"data\.cache=.* give \{folder"),
        (
            {"test": {"odd": {"at_most": 2}}},
            r"data\.test\.odd of 'addressed' is .*, without the _target_ of a FlowDataset",
        ),
    ],
)
def test_settings_of_another_kind_are_told_in_a_sentence(change, told):
    with pytest.raises(FlowBenchError, match=told):
        data_of(**change)


def test_counts_leave_out_what_is_missing():
    assert data_of().counts() == {"train/addressed": 7, "val": 5}


def test_samples_of_different_sizes_are_no_batch():
    samples = [addressed_sample(0), addressed_sample(1, height=18)]
    with pytest.raises(FlowBenchError, match=r"differ in size \(18x30 and 20x30.*cut them to one"):
        FlowBatch.collate(samples)
