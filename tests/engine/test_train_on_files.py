"""Training on data sets of files: stages one after the other, and files that cannot be read."""

import json

import pytest
import torch
from support.runs import rows, run_here

from flowbench.data.datamodule import FlowDataModule
from flowbench.data.sample_trees import write_tree
from flowbench.engine.evaluate import evaluate
from flowbench.engine.train import train

SHORT = (
    "model=raft_small",
    "model.network.iterations=2",
    "data.protocol.updates=2",
    "schedule.steps=3",
    "schedule.batch_size=2",
    "schedule.val_interval=3",
    "schedule.crop=[64,64]",
    "data.workers=0",
    "trainer.log_every_n_steps=1",
    "trainer.accelerator=cpu",
    "callbacks.pictures=null",
)


@pytest.fixture
def roots(tmp_path):
    names = {"chairs": 2, "things": 1}
    for name, pairs in names.items():
        write_tree(name, tmp_path / name, pairs=pairs, size=(80, 96))
    return [f"paths.{name}={tmp_path / name}" for name in names]


def trained(folder, *words):
    return run_here(train, "train", *SHORT, *words, f"hydra.run.dir={folder}")


def weights(folder):
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def test_a_stage_starts_from_the_weights_of_the_one_before(roots, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    ended = trained(first, "data=chairs", *roots)
    assert ended.code == 0, ended.told
    # At a rate of nothing, what a stage ends with is what it began with.
    frozen = ("schedule.lr=1e-30", "schedule.weight_decay=0", "schedule.optimisation.freeze_batch_norm=true")
    ended = trained(second, "data=things", f"init={first / 'checkpoints/last.ckpt'}", *frozen, *roots)
    assert ended.code == 0, ended.told
    for name, value in weights(first).items():
        torch.testing.assert_close(weights(second)[name], value, rtol=0, atol=1e-12)
    pairs = json.loads((second / "provenance.json").read_text())["pairs"]
    assert (pairs["train/things_clean"], pairs["train/things_final"], pairs["val"]) == (2, 2, 1)


def test_an_unreadable_pair_ends_training_unless_it_may_be_skipped(roots, tmp_path):
    damaged = tmp_path / "chairs" / "data" / "00001_img2.ppm"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    ended = trained(tmp_path / "raise", "data=chairs", *roots)
    assert ended.code == 1
    assert str(damaged) in ended.told
    folder = tmp_path / "skip"
    ended = trained(folder, "data=chairs", "data.on_error=skip", *roots)
    assert ended.code == 0, ended.told
    (told,) = (folder / "skipped.txt").read_text().splitlines()
    assert told.startswith(str(damaged))
    skipped = [float(row["train/skipped_pairs"]) for row in rows(folder / "metrics.csv") if row["train/skipped_pairs"]]
    # Three steps of two are three passes over two pairs, one of them damaged.
    assert skipped == sorted(skipped)
    assert skipped[-1] == 3


def test_an_unreadable_validation_pair_is_left_out_before_the_first_step(tmp_path):
    write_tree("kitti", tmp_path / "kitti", pairs=3, size=(80, 96))
    damaged = tmp_path / "kitti" / "training" / "flow_occ" / "000001_10.png"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    words = ("data=kitti", f"paths.kitti={tmp_path / 'kitti'}", "data.on_error=skip")
    ended = trained(tmp_path / "run", *words)
    assert ended.code == 0, ended.told
    told = (tmp_path / "run" / "skipped.txt").read_text().splitlines()
    assert told[0].startswith(f"(validation) {damaged}")


def test_a_validation_pair_that_becomes_unreadable_does_not_end_the_run(tmp_path, monkeypatch):
    write_tree("kitti", tmp_path / "kitti", pairs=3, size=(80, 96))
    damaged = tmp_path / "kitti" / "training" / "flow_occ" / "000001_10.png"
    validated = FlowDataModule.val_dataloader

    def after_the_disk_failed(self):
        damaged.write_bytes(damaged.read_bytes()[:-40])
        return validated(self)

    monkeypatch.setattr(FlowDataModule, "val_dataloader", after_the_disk_failed)
    words = ("data=kitti", f"paths.kitti={tmp_path / 'kitti'}", "data.on_error=skip")
    ended = trained(tmp_path / "run", *words)
    assert ended.code == 0, ended.told
    assert f"(validation) {damaged}" in (tmp_path / "run" / "skipped.txt").read_text()
    (counted,) = [row for row in rows(tmp_path / "run" / "metrics.csv") if row.get("val/skipped_pairs")]
    assert float(counted["val/skipped_pairs"]) == 1
    assert float(counted["val/epe"]) > 0


def test_a_checkpoint_finds_its_data_where_the_command_line_says(roots, tmp_path):
    assert trained(tmp_path / "run", "data=chairs", *roots).code == 0
    (tmp_path / "chairs").rename(tmp_path / "moved")
    words = (f"+ckpt={tmp_path / 'run/checkpoints/last.ckpt'}", "pictures=0", "iterations=1", "trainer.accelerator=cpu")
    ended = run_here(evaluate, "evaluate", *words, f"hydra.run.dir={tmp_path / 'nowhere'}")
    assert ended.code == 1
    assert "Set paths.chairs=<folder>" in ended.told
    found = run_here(
        evaluate, "evaluate", *words, f"paths.chairs={tmp_path / 'moved'}", f"hydra.run.dir={tmp_path / 'found'}"
    )
    assert found.code == 0, found.told


def test_a_choice_that_there_is_not_is_refused(roots, tmp_path):
    ended = trained(tmp_path / "run", "data=chairs", "data.on_error=ignore", *roots)
    assert ended.code == 1
    assert "on_error=ignore: choose raise or skip" in ended.told
