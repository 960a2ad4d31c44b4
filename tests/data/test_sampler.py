import pytest

from flowbench.data.sampler import EvaluationSampler, ProcessRank, Stage, TrainingSampler


def batches(first_step: int = 0, last_step: int = 20, process: ProcessRank | None = None, **changes) -> list:
    settings = {"stages": [Stage(0, range(changes.pop("size", 10)))], "batch_size": 3, "seed": 0} | changes
    return list(TrainingSampler(first_step=first_step, last_step=last_step, process=process, **settings))


def flat(batches: list) -> list[tuple[int, int]]:
    return [address for batch in batches for address in batch]


def test_each_pass_is_a_shuffle_of_its_own():
    addresses = flat(batches())
    assert [position for position, _ in addresses] == list(range(60))
    passes = [tuple(index for _, index in addresses[start : start + 10]) for start in range(0, 60, 10)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len(set(passes)) == 6


def test_batches_cross_from_one_pass_to_the_next():
    crossing = batches()[3]
    assert [position for position, _ in crossing] == [9, 10, 11]
    assert {len(batch) for batch in batches()} == {3}


def test_a_batch_larger_than_the_data_is_filled_from_several_passes():
    (batch,) = batches(last_step=1, size=2, batch_size=7)
    assert sorted(index for _, index in batch[:6]) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_out_the_steps_of_one_process(world):
    whole = batches(batch_size=3 * world)
    processes = [batches(process=ProcessRank(rank, world)) for rank in range(world)]
    assert [flat(parts) for parts in zip(*processes)] == whole


@pytest.mark.parametrize("step", [1, 3, 10, 20])
@pytest.mark.parametrize("process", [ProcessRank(), ProcessRank(1, 2)])
def test_a_resumed_run_sees_what_it_would_have_seen(step, process):
    assert batches(first_step=step, process=process) == batches(process=process)[step:]


@pytest.mark.parametrize("step", [0, 3, 7, 8, 15])
@pytest.mark.parametrize("process", [ProcessRank(), ProcessRank(1, 2)])
def test_each_stage_draws_shuffled_passes_over_its_own_samples(step, process):
    stages = [Stage(0, range(4)), Stage(7, range(4, 10)), Stage(8, range(10, 12))]
    seen = batches(stages=stages, process=process, first_step=step)
    whole = batches(stages=stages, process=process)
    assert seen == whole[step:]
    assert {index for _, index in flat(whole[:7])} == set(range(4))
    assert {index for _, index in flat(whole[7:8])} < set(range(4, 10))
    assert {index for _, index in flat(whole[8:])} == {10, 11}
    assert [position for position, _ in flat(batches(stages=stages))] == list(range(60))
    assert batches(stages=stages)[:7] == batches(size=4)[:7]


def test_another_seed_gives_another_order():
    assert batches(seed=1) != batches(seed=0)
    assert batches(seed=1) == batches(seed=1)


@pytest.mark.parametrize("size", [0, 1, 2, 7, 9])
@pytest.mark.parametrize("world", [1, 2, 4])
def test_evaluation_sees_every_sample_once(size, world):
    processes = [EvaluationSampler(size=size, process=ProcessRank(rank, world)) for rank in range(world)]
    assert sorted(index for process in processes for index in process) == list(range(size))
    assert [len(process) for process in processes] == [len(list(process)) for process in processes]
    assert max(map(len, processes)) - min(map(len, processes)) <= 1
    assert all(list(process) == sorted(process) for process in processes)
