"""A warm start goes on within a sequence, and nowhere else."""

import numpy as np
import torch

from flowbench.models.sequences import WarmStart, sequence_of
from flowbench.structures import FlowOutput

SIZES = {"a": (8, 9), "b": (8, 9), "c": (9, 8)}


def frame(name, number):
    """A picture of one colour, another for each sequence and number."""
    return torch.full((1, 3, *SIZES[name]), (10 * ord(name) + number) / 2000)


class Recorder:
    """Stands for a model: each of its outputs may be the next one's start, and all starts are kept."""

    def __init__(self, spoiled=()):
        self.starts = []
        self.spoiled = spoiled

    def estimate(self, image1, image2, reuse=None):
        self.starts.append(reuse)
        number = len(self.starts) - 1
        flow = torch.full((1, 2, 8, 8), torch.nan if number in self.spoiled else 1.0)
        return FlowOutput(flow, reuse=f"pair {number}")


def starts(pairs, model=None):
    model = model or Recorder()
    warm_start = WarmStart(model.estimate)
    outputs = [
        warm_start.estimate(frame(name, number), frame(name, number + 1), f"two/{name}/{number:04d}")
        for name, number in pairs
    ]
    assert [output.stats["warm"].tolist() for output in outputs] == [[int(start is not None)] for start in model.starts]
    return model.starts


def test_sequence_of_a_key():
    assert sequence_of("sintel/clean/alley_1/0007") == "sintel/clean/alley_1"
    assert sequence_of("0007") == ""


def test_it_ends_with_each_sequence_and_only_there():
    pairs = [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 5), ("a", 4)]
    assert starts(pairs) == [None, "pair 0", "pair 1", None, "pair 3", None]


def test_a_gap_in_a_sequence_ends_it():
    assert starts([("a", 1), ("a", 3), ("a", 4), ("a", 4)]) == [None, None, "pair 1", None]


def test_the_same_pictures_in_another_sequence_start_cold():
    model = Recorder()
    warm_start = WarmStart(model.estimate)
    for key in ("one/0", "two/1", "two/2"):
        warm_start.estimate(frame("a", 1), frame("a", 1), key)
    assert model.starts == [None, None, "pair 1"]


def test_pictures_of_another_size_start_cold():
    model = Recorder()
    warm_start = WarmStart(model.estimate)
    for name in ("a", "c"):
        warm_start.estimate(frame(name, 1), frame(name, 1))
    assert model.starts == [None, None]


def test_arrays_are_compared_like_tensors():
    model = Recorder()
    warm_start = WarmStart(model.estimate)
    black, white = (np.full((1, 8, 8, 3), value, np.uint8) for value in (0, 255))
    for pair in ((black, white), (white, black), (white, black)):
        warm_start.estimate(*pair)
    assert model.starts == [None, "pair 0", None]


def test_flow_that_is_not_finite_is_not_carried_on():
    assert starts([("a", 1), ("a", 2), ("a", 3)], Recorder(spoiled=(0,))) == [None, None, "pair 1"]
