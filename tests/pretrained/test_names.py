"""Weights by name: the cards of the shipped files, the table of the published ones, and which file a word stands for."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from support.checkpoints import save_ours
from support.runs import run_here

import flowbench
from flowbench.configs import config_folder
from flowbench.engine.config.groups import model_config
from flowbench.engine.config.models import build_model, start_from
from flowbench.engine.evaluate import evaluate
from flowbench.engine.predict import predict
from flowbench.errors import FlowBenchError
from flowbench.pretrained import all_weights, locate, sha256_of, weights_folder

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [entry for entry in all_weights() if entry.shipped]
PUBLISHED = [entry for entry in all_weights() if not entry.shipped]
MODELS = {path.stem for path in (config_folder() / "model").glob("*.yaml")}
MEGABYTE = 1_000_000
FACTS = {
    "licence",
    "trained_on",
    "steps",
    "pairs",
    "hours",
    "hardware",
    "command",
    "measured",
    "parameters",
    "precision",
}


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)
def test_a_card_agrees_with_its_file(entry):
    file = weights_folder() / entry.file
    assert sha256_of(file) == entry.sha256, "tools/release_weights.py writes file and card together"
    assert {str(tensor.dtype).removeprefix("torch.") for tensor in load_file(file).values()} == {
        entry.facts["precision"]
    }
    network = flowbench.load(entry.name).network
    assert sum(parameter.numel() for parameter in network.parameters()) == entry.facts["parameters"]
    assert entry.facts.keys() >= FACTS


def test_every_shipped_file_has_a_card_and_all_are_small_together():
    files = list(weights_folder().glob("*.safetensors"))
    assert {file.name for file in files} == {entry.file for entry in SHIPPED}
    assert sum(file.stat().st_size for file in files) < 30 * MEGABYTE


def test_names_are_regular_and_each_is_given_once():
    names = [name for entry in all_weights() for name in entry.names]
    assert len(set(names)) == len(names)
    for entry in all_weights():
        assert entry.model in MODELS
        stage = rf"{entry.model}-\w+"
        assert re.fullmatch(stage if entry.shipped else rf"{stage}-\w+", entry.name)
        short = [entry.model, "synthetic"] if entry.shipped else [entry.name.rpartition("-")[0]]
        assert set(entry.names[1:]) <= set(short)
        model_config(entry.model, entry.overrides)


def test_the_table_says_whence_each_file_comes():
    for entry in PUBLISHED:
        assert entry.page
        assert entry.trained_on
        # Nothing is downloaded that cannot be checked.
        assert bool(entry.url) == bool(entry.sha256)


def test_of_every_published_stage_one_source_has_the_short_name():
    stages = {entry.name.rpartition("-")[0] for entry in PUBLISHED}
    assert stages == {name for entry in PUBLISHED for name in entry.names[1:]}


def test_every_published_file_is_in_the_documentation_as_untried():
    page = (ROOT / "docs/weights.md").read_text()
    assert "untried" in page
    assert not [entry.file for entry in PUBLISHED if f"`{entry.file}`" not in page]


def test_load_gives_shipped_weights_or_fresh_ones_and_says_where_there_are_none():
    shipped = load_file(weights_folder() / "fastflownet.safetensors")
    name, weight = next((name, tensor) for name, tensor in shipped.items() if tensor.ndim == 4)
    for model in (
        flowbench.load("fastflownet"),
        flowbench.load("fastflownet", "synthetic"),
        flowbench.load("synthetic"),
        flowbench.load("fastflownet", overrides=["padder.size=[448,1024]"]),
    ):
        assert torch.equal(model.network.state_dict()[name], weight.float())
        assert not model.training
    fresh = [flowbench.load("fastflownet", weights=None), flowbench.load("fastflownet", None)]
    assert not torch.equal(*(model.network.state_dict()[name] for model in fresh))
    told = r'ships no weights of raft: published ones are raft-chairs, .*load\("raft", None\) gives .* random weights'
    with pytest.raises(FlowBenchError, match=told):
        flowbench.load("raft")


def test_training_starts_from_weights_by_name():
    model = build_model(model_config("fastflownet"))
    start_from(model, "fastflownet")
    shipped = flowbench.load("fastflownet").network.state_dict()
    assert all(torch.equal(tensor, shipped[name]) for name, tensor in model.network.state_dict().items())
    with pytest.raises(FlowBenchError, match=r"Its weights are those of model=fastflownet\."):
        start_from(build_model(model_config("raft_small")), "fastflownet")


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("raft-thinks", r"no weights have this name: did you mean raft-things"),
        ("raft", r"ships no weights of raft: published ones are raft-chairs"),
        ("weights/absent", r"There is no checkpoint file 'weights/absent': check the path"),
        ("synthetic.ckpt", r"check the path, or write synthetic for the weights of that name"),
    ],
)
def test_a_word_that_is_neither_file_nor_name_is_one_sentence(word, sentence):
    with pytest.raises(FlowBenchError, match=sentence):
        locate(word)


def test_a_file_that_is_called_like_weights_is_not_guessed_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("synthetic", "things", "raft-thinks"):
        save_ours(flowbench.load("raft_small", None), tmp_path / name)
    for call in (lambda: locate("synthetic"), lambda: flowbench.load("raft_small", "things")):
        with pytest.raises(FlowBenchError, match=r"is a file in this folder and.* the name of .*write \./"):
            call()
    assert flowbench.load("./synthetic").name == flowbench.load(Path("raft-thinks")).name == "raft_small"
    assert locate(Path("synthetic")).entry is None
    assert locate("raft-thinks").path == Path("raft-thinks")


def test_prediction_without_a_checkpoint_says_which_weights_it_uses(tmp_path):
    for name in ("fastflownet", "fastflownet-synthetic"):
        (tmp_path / name).write_text("a file of the user's, which nobody asked for")
    words = (ROOT / "assets/sintel", "limit=1", "cascade=auto", "-o", "my flow")
    command = [sys.executable, "-P", "-m", "flowbench", "predict", *words]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    card = yaml.safe_load((weights_folder() / "fastflownet.yaml").read_text())
    told = " ".join(ended.stdout.split())
    assert f"weights: fastflownet-synthetic from FlowBench, sha256 {card['sha256'][:8]}..., trained on" in told
    assert "1 pairs in" in told
    shown = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", (tmp_path / "my flow" / "index.html").read_text()))
    assert shown["weights"] == "fastflownet-synthetic"
    assert shown["command"].startswith("python -m flowbench predict limit=1 ")


def test_a_model_has_its_shipped_weights_whatever_files_are_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fastflownet-synthetic").write_text("another file")
    assert flowbench.load("fastflownet").name == "fastflownet"


def test_prediction_without_a_checkpoint_of_a_model_that_has_no_weights_is_refused(tmp_path):
    words = ("model=raft", f"input={ROOT / 'assets/sintel'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert "FlowBench ships no weights of raft" in run_here(predict, "predict", *words).told


def test_evaluation_takes_a_name_and_changes_of_its_model(tmp_path):
    words = ("ckpt=synthetic", "data=synthetic", "data.counts.test=1", "data.scenes.size=[64,64]", "data.workers=0")
    words = (*words, "pictures=0", "trainer.accelerator=cpu", f"hydra.run.dir={tmp_path / 'run'}")
    ended = run_here(evaluate, "evaluate", *words, "model.padder.size=[128,128]")
    assert ended.code == 0, ended.told
    settings = json.loads((tmp_path / "run/metrics.json").read_text())["settings"]
    assert settings["checkpoint sha256"] == sha256_of(weights_folder() / "fastflownet.safetensors")
    assert (settings["checkpoint"], settings["model"]) == ("synthetic", "fastflownet")
    assert "128" in settings["padder"]
    refused = run_here(evaluate, "evaluate", "data=synthetic", f"hydra.run.dir={tmp_path / 'none'}")
    assert "No checkpoint was given" in refused.told


def test_every_file_of_the_folder_is_installed_with_the_package():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    files = {path for pattern in patterns["flowbench.weights"] for path in weights_folder().glob(pattern)}
    assert files == set(weights_folder().iterdir())
