"""The folder of somebody else's run: resuming it runs, reads and writes nothing but the run."""

import json
import os

import pytest
import yaml
from support.runs import NETWORK, SMALL, run, run_here

from flowbench.engine.train import train

SECRET = "do-not-tell"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    words = (*NETWORK, *SMALL, "schedule.steps=1", "schedule.val_interval=1", "data.counts.val=1")
    ended = run_here(train, "train", *words, "logger=tensorboard", f"hydra.run.dir={folder}")
    assert ended.code == 0, ended.told
    return folder


@pytest.fixture
def resumed(finished, monkeypatch):
    """Resumes the run with one of its settings changed; the run itself is complete, and says so."""
    monkeypatch.setenv("FLOWBENCH_TEST_SECRET", SECRET)
    config = (finished / "config.yaml").read_text()

    def resume(place, value, *words, without=None):
        settings = yaml.safe_load(config)
        settings.pop(without, None)
        *parents, last = place.split(".")
        node = settings
        for name in parents:
            node = node[name]
        node[last] = value
        (finished / "config.yaml").write_text(yaml.safe_dump(settings))
        try:
            return run_here(train, "train", f"resume={finished}", *words)
        finally:
            (finished / "config.yaml").write_text(config)

    return resume


def payloads(mark):
    call = {"_target_": "os.mkdir", "path": mark}
    create = f"${{oc.create:{{_target_: os.mkdir, path: '{mark}'}}}}"
    return {
        "os": call,
        "torch's os": call | {"_target_": "torch.os.mkdir"},
        "torch.hub": {"_target_": "torch.hub.load", "repo_or_dir": mark, "source": "local", "model": "x"},
        "torch.save": {"_target_": "torch.save", "obj": 1, "f": mark},
        "extension": {"_target_": "torch.utils.cpp_extension.load", "name": "x", "sources": [mark]},
        "lightning's checkpoints": {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "dirpath": mark},
        "lightning's csv": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": mark, "name": "x"},
        "another module's name": call | {"_target_": "flowbench.engine.run.folder.subprocess.run", "args": "true"},
        "package": {"_target_": "flowbench.io.records.write_json", "path": mark, "content": 1},
        "partial": call | {"_partial_": True},
        "positional": {"_target_": "flowbench.engine.training.callbacks.Throughput", "_args_": [call]},
        "created": create,
        "escaped": "\\" + create,
        "target of the environment": {"_target_": "${oc.env:FLOWBENCH_DATA,os.mkdir}", "path": mark},
        "key": {create: 1},
    }


PLACES = ["logger.tensorboard", "schedule.optimisation.optimizer", "trainer.profiler"]


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        *(("callbacks.best", kind) for kind in payloads("x")),
        *((place, kind) for place in PLACES for kind in ("torch's os", "created")),
    ],
)
def test_settings_call_nothing(place, kind, resumed, tmp_path):
    ended = resumed(place, payloads(str(tmp_path / "mark"))[kind])
    assert ended.code == 1
    assert "nothing was run" in ended.told
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("place", ["data.name", "logger.tensorboard.name", "callbacks.best.monitor"])
@pytest.mark.parametrize(
    "text", ["${oc.env:FLOWBENCH_TEST_SECRET}", "a${oc.env:FLOWBENCH_DATA,${oc.env:FLOWBENCH_TEST_SECRET}}"]
)
def test_the_environment_is_not_read(text, place, resumed, finished):
    ended = resumed(place, text)
    assert ended.code == 1
    assert "holds the reference" in ended.told
    assert SECRET not in ended.told
    assert not [name for name in os.listdir(finished) if SECRET in name]


def test_the_folder_of_all_data_may_come_from_the_environment(resumed):
    ended = resumed("paths.sintel", "${oc.env:FLOWBENCH_DATA,datasets}/Sintel")
    assert "is complete (1 of 1 steps)" in ended.told


@pytest.mark.parametrize("name", ["../elsewhere", "/tmp/elsewhere"])
def test_a_logger_stays_in_the_folder(name, resumed, finished):
    for key in ("name", "version"):
        ended = resumed(f"logger.tensorboard.{key}", name)
        assert ended.code == 1
        assert "cannot name a file in" in ended.told
    assert not (finished.parent / "elsewhere").exists()


@pytest.mark.parametrize("option", ["settings", "dir", "log_dir", "filename_suffix", "sub_dir"])
def test_a_logger_takes_named_options_only(option, resumed):
    ended = resumed(f"logger.tensorboard.{option}", "x")
    assert ended.code == 1
    assert f"unexpected keyword argument '{option}'" in ended.told


def test_a_run_that_calls_its_paths_roots_is_known(resumed, finished):
    config = yaml.safe_load((finished / "config.yaml").read_text())
    roots = {name: str(root).replace("${paths.", "${roots.") for name, root in config["paths"].items()}
    ended = resumed("roots", roots, without="paths")
    assert "is complete (1 of 1 steps)" in ended.told


def test_the_old_name_of_the_logger_is_known(resumed):
    assert "is complete" in resumed("logger.tensorboard._target_", "pytorch_lightning.loggers.TensorBoardLogger").told


def test_the_words_of_the_run_may_be_repeated_and_vouch_for_what_they_name(resumed, finished):
    words = json.loads((finished / "provenance.json").read_text())["command"][1:]
    assert "is complete" in resumed("seed", 0, *[word for word in words if not word.startswith("hydra")]).told
    ended = resumed("seed", 0, "schedule.steps=2")
    assert "keeps its own settings, but schedule.steps=2 was given" in ended.told


def test_a_variable_that_the_user_names_is_read(finished, resumed):
    provenance = finished / "provenance.json"
    written = provenance.read_text()
    word = "data.name=${oc.env:FLOWBENCH_TEST_SECRET}"
    provenance.write_text(json.dumps({"command": ["train.py", word]}))
    try:
        assert "is complete" in resumed("data.name", "${oc.env:FLOWBENCH_TEST_SECRET}", word).told
    finally:
        provenance.write_text(written)


def test_a_log_that_is_a_link_is_not_written_to(finished, tmp_path):
    """Hydra opens it before the run begins, and its lines hold what the folder's config.yaml says."""
    own = tmp_path / "own.txt"
    own.write_text("mine\n")
    (finished / "train.log").symlink_to(own)
    try:
        ended = run("train.py", f"resume={finished}")
    finally:
        (finished / "train.log").unlink()
    assert ended.code == 1
    assert "train.log' is a link to" in ended.told
    assert own.read_text() == "mine\n"


@pytest.mark.parametrize("name", ["checkpoints", "tensorboard/tensorboard"])
def test_a_folder_that_is_a_link_is_not_written_into(name, finished, resumed, tmp_path):
    inside = finished / name
    inside.parent.mkdir(exist_ok=True)
    if inside.exists():
        inside.rename(tmp_path / "away")
    (tmp_path / "own").mkdir()
    inside.symlink_to(tmp_path / "own")
    try:
        ended = resumed("seed", 0)
    finally:
        inside.unlink()
        if (tmp_path / "away").exists():
            (tmp_path / "away").rename(inside)
    assert ended.code == 1
    assert f"{name}' is a link to '{tmp_path}/own', which the run would write to" in ended.told


@pytest.mark.parametrize(("place", "value"), [("schedule.val_interval", "often"), ("data.workers", -5)])
def test_values_of_a_wrong_kind_are_named(place, value, resumed):
    ended = resumed(place, value)
    assert ended.code == 1
    assert f"{place}={value}: a whole number" in ended.told
