from dataclasses import replace

import numpy as np
import pytest
from support.batches import Samples, addressed_sample

from flowbench.data.augmentation.base import RandomCrop
from flowbench.data.mixing import Part, TrainingSamples
from flowbench.errors import FlowBenchError


def named(name: str):
    """Makes samples whose keys say which data set they are of."""
    return lambda index: replace(addressed_sample(index), key=f"{name}/{index}")


def brightened(sample, generator):
    return replace(sample, image1=np.full_like(sample.image1, 255))


def unreadable(*broken: int):
    def make(index: int):
        if index in broken:
            raise FlowBenchError(f"{index}.flo: truncated")
        return named("set")(index)

    return make


def test_a_pass_over_a_mix_has_each_part_so_many_times():
    mix = TrainingSamples([Part(Samples(3, named("a")), times=2), Part(Samples(2, named("b")))], seed=0)
    keys = [mix[0, index].key for index in range(len(mix))]
    assert keys == ["a/0", "a/1", "a/2", "a/0", "a/1", "a/2", "b/0", "b/1"]
    assert mix.starts() == [0, 6]


def test_each_part_has_its_own_augmentations():
    mix = TrainingSamples([Part(Samples(1)), Part(Samples(1), [brightened])], seed=0)
    assert mix[0, 0].image1.mean() < 255
    assert mix[0, 1].image1.mean() == 255


def test_a_composition_stands_for_its_augmentations():
    assert Part(Samples(1), [brightened, [RandomCrop(), brightened]]).augmentations == [
        brightened,
        RandomCrop(),
        brightened,
    ]


def test_what_is_drawn_depends_on_the_seed_and_the_position_alone():
    def crops(seed):
        samples = TrainingSamples([Part(Samples(2, addressed_sample), [RandomCrop((8, 8))])], seed=seed)
        return [samples[position, 1].flow[0, 0].tolist() for position in range(12)]

    assert crops(1) == crops(1)
    assert crops(1) != crops(2)
    assert len(set(map(tuple, crops(1)))) > 3


def test_an_unreadable_sample_is_an_error_unless_it_may_be_skipped():
    part = Part(Samples(4, unreadable(1, 2)))
    with pytest.raises(FlowBenchError, match=r"1\.flo: truncated"):
        TrainingSamples([part], seed=0)[0, 1]
    sample = TrainingSamples([part], seed=0, on_error="skip")[0, 1]
    assert sample.key == "set/3"
    assert sample.skipped == ("1.flo: truncated", "2.flo: truncated")
    assert TrainingSamples([part], seed=0, on_error="skip")[0, 0].skipped == ()


def test_a_part_without_a_readable_sample_is_an_error_even_so():
    samples = TrainingSamples([Part(Samples(3, unreadable(0, 1, 2)))], seed=0, on_error="skip")
    with pytest.raises(FlowBenchError, match=r"3 pairs in a row cannot be read, the last one: 0\.flo"):
        samples[0, 1]


@pytest.mark.parametrize("times", [0, -1, 1.5])
def test_a_part_comes_a_whole_number_of_times(times):
    with pytest.raises(FlowBenchError, match="times="):
        Part(Samples(1), times=times)


def test_what_an_error_does_is_one_of_two():
    with pytest.raises(FlowBenchError, match=r"on_error=ignore: choose raise or skip"):
        TrainingSamples([], seed=0, on_error="ignore")
