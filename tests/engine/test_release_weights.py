"""From a training run to the files that are shipped."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file
from support.runs import SMALL, run_here

from flowbench.engine.release_weights import release_weights
from flowbench.engine.train import train
from flowbench.pretrained import sha256_of

SAID = (
    "names=[lightflow_05-noise,lightflow_05]",
    "licence=Apache-2.0",
    "trained_on=the built-in scenes",
    "hardware=a CPU",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two stages of a training, the second from the weights of the first, both with averaged weights."""
    folder = tmp_path_factory.mktemp("runs")
    small = ("model=lightflow_05", *SMALL, "schedule.ema=0.5", "callbacks.pictures=null", "data.counts.val=1")
    for name, words in (("one", ()), ("two", (f"init={folder}/one/checkpoints/last.ckpt",))):
        ended = run_here(train, "train", *small, "schedule.steps=2", f"hydra.run.dir={folder / name}", *words)
        assert ended.code == 0, ended.told
    return folder


def released(runs, to, stage, *words):
    ckpt = runs / stage / "checkpoints/last.ckpt"
    return run_here(
        release_weights, "release_weights", f"ckpt={ckpt}", f"to={to}", f"hydra.run.dir={to / 'run'}", *words
    )


def test_file_and_card_follow_the_training(runs, tmp_path):
    refused = released(runs, tmp_path, "one")
    assert refused.code == 1
    assert "A new card needs names=<...>, licence=<...>, trained_on=<...>, hardware=<...>" in refused.told
    assert not list(tmp_path.glob("lightflow*"))

    assert released(runs, tmp_path, "one", *SAID).code == 0
    (tmp_path / "metrics.json").write_text(
        json.dumps(
            {
                "settings": {"data": "sintel", "split": "test", "pairs": 3, "cascade": "none", "torch": "2"},
                "metrics": {"epe": 1.23456},
            }
        )
    )
    ended = released(runs, tmp_path, "two", f"measured={tmp_path / 'metrics.json'}")
    assert ended.code == 0, ended.told
    file, card = tmp_path / "lightflow_05.safetensors", yaml.safe_load((tmp_path / "lightflow_05.yaml").read_text())
    assert (card["sha256"], card["parameters"], card["steps"], card["pairs"]) == (sha256_of(file), 653_386, 4, 8)
    assert [stage["run"] for stage in card["stages"]] == ["one", "two"]
    assert "init=last.ckpt" in card["command"]
    assert str(runs) not in (tmp_path / "lightflow_05.yaml").read_text()
    assert card["names"] == ["lightflow_05-noise", "lightflow_05"]
    assert card["measured"] == {
        "weights": card["sha256"][:8],
        "data": "sintel",
        "split": "test",
        "pairs": 3,
        "cascade": "none",
        "epe": 1.2346,
    }
    contents = torch.load(runs / "two/checkpoints/last.ckpt", weights_only=True)
    written = load_file(file)
    for name, tensor in written.items():
        averaged = contents["state_dict"][f"network.{name}"]
        assert torch.equal(tensor, averaged.half() if averaged.is_floating_point() else averaged)
    assert card["averaged"] is True
    assert card["training_size"] == contents["hyper_parameters"]["training_size"]
    assert "name=../x: a name without folders" in released(runs, tmp_path, "two", "name=../x").told

    again = released(runs, tmp_path, "two")
    assert yaml.safe_load((tmp_path / "lightflow_05.yaml").read_text()) == card
    assert "measured figures" not in again.told
    fresh = released(runs, tmp_path, "one")
    assert "Its measured figures are still those of the weights" in fresh.told
    assert yaml.safe_load((tmp_path / "lightflow_05.yaml").read_text())["steps"] == 2
