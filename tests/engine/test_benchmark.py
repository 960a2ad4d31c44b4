"""The benchmark's figures agree with the counts that can be made by hand."""

import json
import time
from functools import partial

import pytest
import torch
from support.batches import Samples, shifted_noise
from support.runs import NETWORK, rows, run_here
from torch.utils.flop_counter import FlopCounterMode

import flowbench
from flowbench.data.mixing import Part, TrainingSamples
from flowbench.engine.benchmark import benchmark
from flowbench.engine.benchmarks import data as benchmark_data
from flowbench.engine.benchmarks import network as benchmark_module
from flowbench.engine.benchmarks.measure import matmul_rate


def measured(folder, *words):
    ended = run_here(benchmark, "benchmark", "size=[128,128]", "device=cpu", f"hydra.run.dir={folder}", *words)
    assert ended.code == 0, ended.told
    found = json.loads((folder / "benchmark.json").read_text())
    assert [set(row) for row in rows(folder / "benchmark.csv")] == [set().union(*found)] * len(found)
    return found


@pytest.mark.slow
def test_models(tmp_path, monkeypatch):
    # A smaller product to compare with: the usual one takes seconds.
    monkeypatch.setattr(benchmark_module, "matmul_rate", partial(matmul_rate, side=1024))
    words = (NETWORK[0], "iterations=2", "repeats=2", "warm_up=1", "training=true", "precision=[32,bf16]")
    found = measured(tmp_path, *words)
    assert [(row["precision"], row["mode"]) for row in found] == [
        ("32-true", "forward"),
        ("32-true", "training_step"),
        ("bf16-mixed", "forward"),
        ("bf16-mixed", "training_step"),
    ]
    model = flowbench.load("raft_small", None, ["network.eval_iterations=2"])
    with FlopCounterMode(display=False) as counter:
        model.estimate(torch.rand(3, 128, 128), torch.rand(3, 128, 128))
    for row in found:
        assert row["iterations"] == 2
        assert row["parameters (M)"] == pytest.approx(0.990162, abs=1e-6)
        assert 0 < row["median (ms)"] <= row["p90 (ms)"]
        assert 0 < row["share of matmul (%)"] < 150
    for forward, training in (found[:2], found[2:]):
        assert forward["GMAC"] == pytest.approx(counter.get_total_flops() / 2e9, rel=1e-9)
        assert training["GMAC"] > 2 * forward["GMAC"]
        assert "saved by autograd (MiB)" not in forward
        assert training["saved by autograd (MiB)"] > 1
    assert found[3]["saved by autograd (MiB)"] < found[1]["saved by autograd (MiB)"]


def test_lookups(tmp_path):
    found = measured(tmp_path, "subject=lookup", "repeats=2", "warm_up=1")
    assert {row["lookup"] for row in found} == {"all_pairs", "on_demand", "grid_sample"}
    assert all(row["largest relative difference"] < 1e-4 for row in found)
    assert all(row["median (ms)"] > 0 for row in found)


def test_local_correlation(tmp_path):
    found = measured(tmp_path, "subject=local", "size=[64,96]", "repeats=2", "warm_up=1")
    assert [row["displacements"] for row in found] == ["53", "81, then 53 of them"]
    assert all(row["largest difference"] < 1e-6 for row in found)
    assert all(row["and backward, median (ms)"] > row["forward, median (ms)"] > 0 for row in found)


def test_data(tmp_path):
    words = ("subject=data", "data.scenes.size=[64,64]", "schedule.crop=[32,48]", "seconds=0.5")
    files = "chairs_files={pairs:2,size:[64,80],crop:[48,56]}"
    found = measured(tmp_path, *words, files)
    assert [(row["data"], row["size"]) for row in found] == [
        ("synthetic", "32x48"),
        ("chairs files", "48x56"),
        ("chairs files, cached", "48x56"),
    ]
    for row in found:
        assert row["seconds"] >= 0.5
        assert row["pairs/s by the clock"] == pytest.approx(row["pairs"] / row["seconds"])
        # One process on one core works no more than the clock runs.
        assert row["pairs/s a core"] >= 0.98 * row["pairs/s by the clock"]
        assert row["reading (ms)"] + row["augmenting (ms)"] == pytest.approx(1e3 / row["pairs/s a core"])
    scenes, chairs, _ = found
    # A scene is drawn and then only cut; a file is read fast, and then augmented in full.
    assert scenes["augmenting (ms)"] < 0.1 * scenes["reading (ms)"]
    assert chairs["augmenting (ms)"] > 0.2


def test_data_has_the_reading_and_the_augmentation_apart():
    def read(index):
        return busy(0.002, shifted_noise(index))

    def augment(sample, generator):
        return busy(0.006, sample)

    samples = TrainingSamples([Part(Samples(4, read), [augment], times=2)], seed=0)
    row = benchmark_data._row("busy", samples, 0.2)
    assert row["reading (ms)"] == pytest.approx(2.2, abs=0.5)
    assert row["augmenting (ms)"] == pytest.approx(6.2, abs=0.5)
    assert row["pairs/s a core"] == pytest.approx(1000 / 8.4, rel=0.15)


def busy(seconds, result):
    """Takes so much processor time, however loaded the machine is."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return result
