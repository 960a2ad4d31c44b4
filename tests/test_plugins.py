"""Plug-ins: a family and a data set in the working folder, through the programs; and what files may not do."""

import importlib.metadata
import json

import cv2
import numpy as np
import pytest
import torch
import yaml
from support.plugins import write_plugin
from support.runs import rows, run, run_here

import flowbench
from flowbench.engine.config.arguments import hydra_words, named_plugins
from flowbench.engine.config.groups import data_config, model_config
from flowbench.engine.evaluate import evaluate
from flowbench.engine.export import export
from flowbench.engine.train import train
from flowbench.errors import FlowBenchError
from flowbench.plugins import plugin_parts, plugins_of_its_own, used
from flowbench.targets import find_own, find_part

TINY = (
    "model=tiny",
    "data=squares",
    "data.workers=0",
    "data.val.count=2",
    "data.test.squares.count=2",
    "schedule.steps=2",
    "schedule.batch_size=2",
    "trainer.accelerator=cpu",
    "trainer.log_every_n_steps=1",
)


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    with write_plugin(tmp_path) as folder, plugins_of_its_own():
        monkeypatch.chdir(tmp_path)
        yield folder


def refused(ended):
    assert ended.code == 1, ended.told
    return ended.told


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the plug-in's model on its data, and the folder that it was started in."""
    folder = tmp_path_factory.mktemp("trained")
    with write_plugin(folder):
        ended = run("train.py", "plugins=mymodels", *TINY, f"hydra.run.dir={folder / 'run'}", cwd=folder)
        assert ended.code == 0, ended.told
        yield folder


def test_a_run_trains_evaluates_and_predicts_with_the_plug_in_in_the_working_folder(trained, tmp_path):
    config = yaml.safe_load((trained / "run" / "config.yaml").read_text())
    assert (config["plugins"], config["model"]["name"], config["data"]["name"]) == ("mymodels", "tiny", "squares")
    assert len(rows(trained / "run" / "metrics.csv")) >= 2
    best = trained / "run" / "checkpoints" / "best.ckpt"

    ended = run_here(evaluate, "evaluate", f"ckpt={best}", "+plugins=[mymodels]", "trainer.accelerator=cpu")
    assert ended.code == 0, ended.told
    (result,) = ended.result
    assert (result.settings["pairs"], result.settings["model"]) == (2, "tiny")

    (frame, other) = (np.random.default_rng(seed).integers(0, 255, (64, 96, 3), np.uint8) for seed in (1, 2))
    cv2.imwrite("a.png", frame)
    cv2.imwrite("b.png", other)
    ended = run("predict.py", f"ckpt={best}", "plugins=mymodels", "a.png", "b.png", "-o", "out", cwd=tmp_path)
    assert ended.code == 0, ended.told
    assert flowbench.read_flow(tmp_path / "out" / "flow" / "a.flo")[0].shape == (64, 96, 2)


def test_a_plug_ins_network_is_exported_for_any_size(trained, tmp_path):
    best = trained / "run" / "checkpoints" / "best.ckpt"
    words = (
        f"ckpt={best}",
        "plugins=mymodels",
        "format=torch_export",
        "iterations=1",
        f"hydra.run.dir={tmp_path / 'export'}",
    )
    ended = run_here(export, "export", *words)
    assert ended.code == 0, ended.told
    assert ended.result.file == tmp_path / "export" / "tiny.pt2"
    assert len(ended.result.differences) == 3


def test_without_the_plug_in_its_checkpoint_and_its_run_are_refused_and_nothing_is_imported(trained):
    best = trained / "run" / "checkpoints" / "best.ckpt"
    told = refused(run_here(evaluate, "evaluate", f"ckpt={best}"))
    assert "The target 'mymodels.tiny.TinyFlow' is refused" in told
    assert "If it is of a plug-in that you trust, add plugins=mymodels;" in told
    told = refused(run_here(train, "train", f"resume={trained / 'run'}"))
    assert "names the target 'mymodels.tiny.TinyFlow', which is none of FlowBench's: nothing was run" in told
    assert "if it is yours, add plugins=mymodels beside resume=." in told
    told = refused(run_here(train, "train", f"resume={trained / 'run'}", "plugins=mymodels"))
    assert "is complete (2 of 2 steps)" in told
    assert used() == []


def test_a_checkpoint_may_name_only_what_the_plug_ins_configuration_names(package):
    (package / "tools.py").write_text("def wipe(folder):\n    raise AssertionError\n")
    flowbench.use_plugins("mymodels")
    assert plugin_parts() == {"mymodels.squares.Squares", "mymodels.tiny.TinyFlow"}
    assert find_part("mymodels.tiny.TinyFlow").__name__ == "TinyFlow"
    with pytest.raises(FlowBenchError, match=r"'mymodels\.tools\.wipe' is refused: a checkpoint may only name"):
        find_part("mymodels.tools.wipe")
    # The user's own configuration may name whatever the package defines, but nothing that it has imported.
    assert find_own("mymodels.tools.wipe").__name__ == "wipe"
    with pytest.raises(FlowBenchError, match=r"'mymodels\.tiny\.torch\.load' is refused|is not there"):
        find_own("mymodels.tiny.torch.load")


def test_a_plug_in_adds_options_and_takes_no_others_place(package):
    (package / "conf" / "model" / "raft_small.yaml").write_text("name: mine\n")
    flowbench.use_plugins("mymodels")
    assert model_config("raft_small").name == "raft_small"
    assert model_config("tiny_wide").network.width == 64
    assert data_config("squares").test.squares.count == 10
    assert isinstance(flowbench.load("tiny", None, ["network.width=8"]).network, torch.nn.Module)


def test_misspelt_choices_know_the_plug_ins_options():
    words = ("plugins=mymodels", "model=tinny")
    assert "There is no model 'tinny': did you mean tiny?" in refused(run_here(train, "train", *words))
    words = ("plugins=mymodels", "model=tiny", "data=squares", "data.test.squares.cuont=3")
    assert "'data.test.squares.cuont': did you mean data.test.squares.count?" in refused(
        run_here(train, "train", *words)
    )


@pytest.mark.parametrize("word", ["plugins=a", "+plugins=a", "++plugins=[a]", "plugins='a'"])
def test_a_plug_in_is_named_with_any_sign(word):
    words = hydra_words([word], config="train")
    assert words[0].startswith("plugins=")
    assert named_plugins(words) == ["a"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone", "There is no plug-in 'gone': install it, or start in the folder that holds it."),
        ("mymodels/", "plugins=mymodels/: the name of a Python package is needed, such as mymodels"),
        ("broken", "The plug-in 'broken' cannot be imported: ModuleNotFoundError: No module named 'not_there'."),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_refused(name, told, tmp_path):
    (tmp_path / "broken.py").write_text("import not_there\n")
    with pytest.raises(FlowBenchError) as error:
        flowbench.use_plugins(name)
    assert str(error.value).startswith(told)


def test_an_installed_plug_in_is_found_by_the_name_of_its_entry_point_and_is_not_active_by_itself(
    tmp_path, monkeypatch
):
    installed = tmp_path / "site"
    with write_plugin(installed, "their_models"):
        (installed / "theirs-1.0.dist-info").mkdir()
        (installed / "theirs-1.0.dist-info" / "METADATA").write_text("Name: theirs\nVersion: 1.0\n")
        points = "[flowbench.plugins]\ntheirs = their_models\n"
        (installed / "theirs-1.0.dist-info" / "entry_points.txt").write_text(points)
        monkeypatch.syspath_prepend(str(installed))
        assert [entry.name for entry in importlib.metadata.entry_points(group="flowbench.plugins")] == ["theirs"]
        with pytest.raises(FlowBenchError, match="'tiny' is neither a model nor a checkpoint file"):
            flowbench.load("tiny", None)
        with pytest.raises(FlowBenchError, match=r"There is no plug-in 'their': did you mean theirs\?"):
            flowbench.use_plugins("their")
        flowbench.use_plugins("theirs")
        assert flowbench.load("tiny", None).name == "tiny"


def test_a_data_set_of_files_lists_its_pairs(package, tmp_path):
    flowbench.use_plugins("mymodels")
    image, flow = np.zeros((8, 12, 3), np.uint8), np.ones((8, 12, 2), np.float32)
    for name in ("0001_a", "0001_b"):
        cv2.imwrite(f"{name}.png", image)
    flowbench.write_flow("0001.flo", flow)
    filmed = find_own("mymodels.filmed.Filmed")(tmp_path)
    assert len(filmed) == 1
    assert (filmed[0].flow == flow).all()
    with pytest.raises(FlowBenchError, match="Filmed: there is no folder"):
        len(find_own("mymodels.filmed.Filmed")(tmp_path / "gone"))


def test_the_record_of_a_run_has_the_word(trained):
    command = json.loads((trained / "run" / "provenance.json").read_text())["command"]
    assert "plugins=mymodels" in command
