"""The table of what a configuration may name: it holds what conf/ uses, and nothing that runs or writes what it is told."""

import contextlib
import importlib
import inspect
import re
import sys
from functools import partial

import pytest
import torch
from support.hydra import GROUPS, composed

from flowbench.builder import make, targets
from flowbench.configs import config_folder, plain
from flowbench.engine.config.groups import data_config, model_config
from flowbench.errors import FlowBenchError
from flowbench.targets import MOVED, PARTS, RENAMED, TRAINING, current, find_own, find_part

# Sub-groups of conf/model with what they belong to.
PARTS_OF_MODELS = [
    f"{folder.name}={file.stem}"
    for folder in sorted((config_folder() / "model").iterdir())
    if folder.is_dir()
    for file in sorted(folder.glob("*.yaml"))
]
# Arguments by which data sets are told what to read.
READ = {"root", "split_file", "images", "second", "flow", "textures"}


def object_named(name):
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)


@pytest.mark.parametrize("model", GROUPS["model"])
def test_all_that_a_model_is_composed_of_is_in_the_table(model):
    assert set(targets(plain(model_config(model)))) <= PARTS


@pytest.mark.parametrize("choice", PARTS_OF_MODELS)
def test_all_choices_of_a_models_parts_are_in_the_table(choice):
    assert set(targets(plain(model_config("deqflow_tiny", [choice])))) <= PARTS


@pytest.mark.parametrize("data", GROUPS["data"])
def test_all_that_data_are_composed_of_is_in_the_table(data):
    assert set(targets(plain(data_config(data)))) <= PARTS


def test_every_target_in_a_file_of_conf_is_in_the_table():
    written = {
        name
        for file in config_folder().rglob("*.yaml")
        for name in re.findall(r"_target_:\s*([\w.]+)", file.read_text())
    }
    assert len(written) > 50
    assert written <= PARTS | TRAINING


@pytest.mark.parametrize("experiment", GROUPS["experiment"])
def test_all_that_an_experiment_trains_with_is_in_the_table(experiment):
    assert set(targets(plain(composed("train", f"experiment={experiment}")))) <= PARTS | TRAINING


def test_the_augmentations_that_the_documentation_offers_are_in_the_table():
    page = (config_folder().parent / "docs" / "configuration.md").read_text()
    table = page.partition("| augmentation | what it does |")[2].partition("\n\n")[0]
    offered = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    assert len(offered) == 10
    assert set(offered) <= {name.rpartition(".")[2] for name in PARTS}


@pytest.mark.parametrize("name", sorted(PARTS | TRAINING))
def test_every_entry_is_there(name):
    assert callable(object_named(name))
    assert find_own(name) is object_named(name)


OLD_NAMES = {
    f"{old}.{name.rpartition('.')[2]}"
    for old, new in MOVED.items()
    for name in PARTS | TRAINING
    if name.rpartition(".")[0] == new
}


@pytest.mark.parametrize("old", sorted(OLD_NAMES | set(RENAMED)))
def test_old_names_lead_to_entries(old):
    assert current(old) in PARTS | TRAINING
    assert find_own(old) is object_named(current(old))


def test_nothing_of_today_is_in_a_module_that_has_moved():
    modules = {name.rpartition(".")[0] for name in PARTS | TRAINING}
    assert modules.isdisjoint(MOVED)
    assert set(MOVED.values()) <= modules


@pytest.mark.parametrize(
    ("name", "told"), [("os.system", False), ("flowbench.schedules.fetch", False), ("theirs.Net", True)]
)
def test_a_plug_in_is_suggested_only_where_it_can_be_one(name, told):
    with pytest.raises(FlowBenchError) as refusal:
        find_part(name)
    assert ("add plugins=" in str(refusal.value)) is told


@pytest.mark.parametrize("name", sorted(TRAINING))
def test_a_checkpoint_names_nothing_of_training(name):
    with pytest.raises(FlowBenchError, match="is refused: a checkpoint may only name"):
        find_part(name)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_no_part_takes_a_place_to_write_to_or_a_name_to_look_up(name):
    parameters = inspect.signature(object_named(name)).parameters
    suspicious = {"folder", "dir", "path", "file", "output", "command", "module", "func", "call", "url"}
    assert {name for name in parameters if suspicious & set(name.split("_"))} <= READ


@pytest.fixture
def events():
    """What Python reports of files opened to be written and of programs started, while it is watched."""
    seen, watching = [], [False]

    def hook(event, arguments):
        if not watching[0]:
            return
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if writes or event in (
            "os.system",
            "subprocess.Popen",
            "os.exec",
            "os.mkdir",
            "os.remove",
            "exec",
            "socket.connect",
        ):
            seen.append((event, arguments))

    sys.addaudithook(hook)

    @contextlib.contextmanager
    def watched():
        watching[0] = True
        try:
            yield seen
        finally:
            watching[0] = False

    return watched


def test_parts_are_made_without_writing_or_running_anything(events):
    models = [model_config(name) for name in ("raft_small", "deltadeq_tiny", "fastflownet", "lightflow")]
    data = [data_config(name, ["data.images=x"][: name == "folder"]) for name in GROUPS["data"]]
    configs = [plain(config) for config in (*models, *data)]
    for name in PARTS:
        object_named(name)
    with events() as seen, torch.device("meta"):
        for config in configs:
            make(config, find_part)
    assert not seen


def test_the_hook_sees_what_is_written(events, tmp_path):
    with events() as seen:
        (tmp_path / "file").write_text("seen")
    assert len(seen) == 1


def test_a_partial_part_lacks_what_is_still_to_come():
    made = make({"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.5}, find_own)
    assert isinstance(made, partial)
    assert made([torch.zeros(1, requires_grad=True)]).defaults["lr"] == 0.5


def test_nothing_is_called_before_all_targets_are_found():
    called = []

    def find(name):
        if name == "bad":
            raise FlowBenchError("refused")
        return lambda **settings: called.append(settings)

    with pytest.raises(FlowBenchError, match="refused"):
        make({"a": {"_target_": "good"}, "b": [{"_target_": "bad"}]}, find)
    assert not called


@pytest.mark.parametrize("key", ["_args_", "_recursive_", "_convert_", "__class__"])
def test_beside_the_target_stand_arguments_only(key):
    with pytest.raises(FlowBenchError, match=f"'{key}' of flowbench.ops.padding.InputPadder is refused"):
        make({"_target_": "flowbench.ops.padding.InputPadder", key: []}, find_own)
