"""An evaluation that starts each pair of a sequence from the one before."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.batches import Samples, shifted_noise
from support.checkpoints import save_ours
from support.models import short_model
from support.runs import rows, run_here

import flowbench
from flowbench.data.datamodule import FlowDataModule
from flowbench.engine import evaluate as evaluate_module
from flowbench.engine.evaluate import evaluate
from flowbench.engine.evaluation.module import EvaluationModule
from flowbench.errors import FlowBenchError
from flowbench.networks.deqflow import DEQFlow

KEYS = ["two/a/0001", "two/a/0002", "two/a/0003", "two/b/0001", "two/b/0002"]
COLD = [True, False, False, True, False]


def pair(index):
    """Noise that moves; each sequence's pictures are pieces of one that is longer."""
    _, name, number = KEYS[index].split("/")
    number = int(number)
    whole = np.random.default_rng(ord(name)).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    frames = [whole[:, 2 * place : 2 * place + 64] for place in (number, number + 1)]
    return replace(shifted_noise(index), image1=frames[0], image2=frames[1], key=KEYS[index])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(1)
    model = flowbench.load("deqflow_tiny", None, ["network.deq.eval_steps=2"])
    return save_ours(model, tmp_path_factory.mktemp("checkpoints") / "ours.ckpt", data={})


@pytest.fixture
def sequences(monkeypatch):
    """The data that is evaluated on."""
    data = FlowDataModule(name="two", test={"two": Samples(len(KEYS), pair)}, workers=0)
    monkeypatch.setattr(evaluate_module, "evaluated_data", lambda settings, remembered: [data])
    return data


@pytest.fixture
def passed(monkeypatch):
    """What each call of the network was given to start from, and what it left."""
    calls, forward = [], DEQFlow.forward

    def recorded(network, image1, image2, reuse=None, **options):
        output = forward(network, image1, image2, reuse, **options)
        calls.append((reuse, output.reuse))
        return output

    monkeypatch.setattr(DEQFlow, "forward", recorded)
    return calls


def evaluated(checkpoint, folder, *words):
    return run_here(
        evaluate,
        "evaluate",
        f"+ckpt={checkpoint}",
        f"hydra.run.dir={folder}",
        "pictures=0",
        "trainer.accelerator=cpu",
        *words,
    )


def test_it_goes_on_within_a_sequence_and_ends_with_it(sequences, passed, checkpoint, tmp_path):
    ended = evaluated(checkpoint, tmp_path / "warm", "warm_start=true")
    assert ended.code == 0, ended.told
    assert [start is None for start, _ in passed] == COLD
    for (_, left), (start, _), cold in zip(passed, passed[1:], COLD[1:]):
        assert cold or start is left
    samples = rows(tmp_path / "warm" / "per_sample.csv")
    assert [row["warm"] for row in samples] == ["0" if cold else "1" for cold in COLD]
    assert json.loads((tmp_path / "warm" / "metrics.json").read_text())["settings"]["warm start"] is True

    assert evaluated(checkpoint, tmp_path / "cold").code == 0
    assert [start for start, _ in passed[len(KEYS) :]] == [None] * len(KEYS)
    alone = rows(tmp_path / "cold" / "per_sample.csv")
    assert [one["epe"] == other["epe"] for one, other in zip(samples, alone, strict=True)] == COLD
    assert json.loads((tmp_path / "cold" / "metrics.json").read_text())["settings"]["warm start"] is False


def test_each_of_several_step_limits_starts_anew(sequences, passed, checkpoint, tmp_path):
    ended = evaluated(checkpoint, tmp_path, "warm_start=true", "iterations=[1,2]")
    assert ended.code == 0, ended.told
    assert [start is None for start, _ in passed] == COLD * 2


def test_pairs_that_are_no_video_start_cold_and_it_is_said(sequences, passed, checkpoint, tmp_path):
    sequences.test = {"noise": Samples(3)}
    with pytest.warns(UserWarning, match="no pair continues the one before, so all started cold"):
        assert evaluated(checkpoint, tmp_path, "warm_start=true").code == 0
    assert [start for start, _ in passed] == [None] * 3


def test_pairs_of_a_batch_cannot_start_from_each_other(sequences, checkpoint, tmp_path):
    sequences.eval_batch_size = 2
    ended = evaluated(checkpoint, tmp_path, "warm_start=true")
    assert ended.code == 1
    assert "error: warm_start=true" in ended.told
    assert "2 pairs come at once: set data.eval_batch_size=1, or leave warm_start out." in ended.told


def test_it_is_true_or_false(sequences, checkpoint, tmp_path):
    ended = evaluated(checkpoint, tmp_path, "warm_start=no")
    assert (ended.code, "error: warm_start=no: true or false is needed." in ended.told) == (1, True)


def test_several_processes_cannot_share_a_sequence_out(monkeypatch):
    tester = EvaluationModule(short_model("deqflow_tiny"), warm_start=True)
    monkeypatch.setattr(EvaluationModule, "trainer", SimpleNamespace(world_size=2))
    with pytest.raises(FlowBenchError, match=r"2 processes share the pairs out: use trainer=default"):
        tester.on_test_start()
