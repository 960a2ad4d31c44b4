import functools
import json
import pickle

import pytest
import torch
from hydra.errors import HydraException
from omegaconf import OmegaConf
from support.hydra import GROUPS, PROGRAMS, composed

from flowbench.checkpoints.settings import build_remembered
from flowbench.configs import build, plain, recipe_of, resolved, schedule_of
from flowbench.engine.config.models import build_model
from flowbench.engine.train import training_data
from flowbench.engine.training.settings import TrainSettings
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel, Optimisation

FILES = [(group, name) for group, names in GROUPS.items() for name in names]
# How a group is chosen on the command line, where train.yaml does not name it.
ADDED = {"sweep": "+sweep"}
# The built-in scenes at a size at which a test can draw them.
TINY_SCENES = ("data.scenes.size=[64,64]", "data.counts={train: 4, val: 2, test: 2}", "data.workers=0")


@pytest.mark.parametrize(("group", "name"), FILES)
def test_every_file_of_every_group_composes(group, name):
    config = composed("train", *_words(group, name))
    assert OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


def _words(group: str, name: str) -> list[str]:
    """What chooses a file; a model and a data set as in the pairs below, so that each is composed once."""
    if group == "recipe":
        return [f"recipe={name}", *_model_of(name)]
    pair = {"model": [f"model={name}", "data=synthetic"], "data": ["model=raft", f"data={name}", *_pictures(name)]}
    return pair.get(group, [f"{ADDED.get(group, group)}={name}"])


def _pictures(data: str) -> list[str]:
    return ["data.images=frames/*.png"] if data == "folder" else []


def _model_of(recipe: str) -> list[str]:
    """A recipe's name begins with that of its model, or of the model's family, and ends with that of its data."""
    own = [name for name in GROUPS["model"] if recipe.startswith(name)]
    model = max(own, key=len) if own else f"{recipe.partition('_')[0]}_h"
    return [f"model={model}", *(f"data={name}" for name in GROUPS["data"] if recipe.endswith(f"_{name}"))]


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_composes(name):
    assert OmegaConf.to_container(composed(name), resolve=True, throw_on_missing=True)


@pytest.mark.parametrize(("name", "key"), [("evaluate", "iterations"), ("predict", "iterations")])
def test_a_checkpoint_is_added_and_its_model_may_be_changed(name, key):
    config = composed(name, "+ckpt=best.ckpt", "+model.network.eval_iterations=3", f"{key}=24")
    assert (config.ckpt, config.model.network.eval_iterations, config[key]) == ("best.ckpt", 3, 24)


@pytest.mark.parametrize("data", GROUPS["data"])
@pytest.mark.parametrize("model", GROUPS["model"])
def test_every_pair_of_model_and_data_composes_and_becomes_objects(model, data):
    config = composed("train", f"model={model}", f"data={data}", *_pictures(data))
    built = _built_model(json.dumps(plain(config.model)))
    assert isinstance(built, FlowModel)
    assert built.name == model
    assert config.data.name == data
    assert build(config.data, crop=config.schedule.crop).name == data
    optimisation = build(config.schedule.optimisation)
    assert isinstance(optimisation, Optimisation)
    built.optimisation = optimisation
    optimizer = built.configure_optimizers()["optimizer"]
    assert {parameter for group in optimizer.param_groups for parameter in group["params"]} == set(built.parameters())


@functools.cache
def _built_model(settings: str) -> FlowModel:
    """A model is built once of the settings that several pairs share."""
    with torch.device("meta"):
        return build_model(OmegaConf.create(json.loads(settings)))


@pytest.mark.parametrize(
    ("model", "data", "recipe", "schedule"),
    [
        ("raft_h", "things", "raft_h_things", "raft_h_things"),
        ("raft_h", "sintel", "raft_sintel", "sintel"),
        ("raft_small", "things", "raft_things", "things"),
        ("deqflow_l", "chairs", "deqflow_chairs", "chairs"),
        ("deltadeq_tiny", "kitti", "deltadeq_kitti", "kitti"),
        ("fastflownet", "sintel", "fastflownet_sintel", "fastflownet_sintel"),
        ("lightflow_05", "chairs", "lightflow_chairs", "lightflow_chairs"),
        ("lightflow_05", "synthetic", "lightflow_synthetic", "synthetic"),
    ],
)
def test_a_pair_has_the_recipe_and_the_schedule_of_its_own_or_of_the_models_family(model, data, recipe, schedule):
    assert (recipe_of(model, data), schedule_of(model, data)) == (recipe, schedule)


@pytest.mark.parametrize("data", ["spring", "synthetic"])
def test_a_pair_whose_family_has_no_recipe_gets_none(data):
    assert recipe_of("raft_small", data) not in GROUPS["recipe"]
    assert composed("train", "model=raft_small", f"data={data}", *_pictures(data)).source is None


@pytest.mark.parametrize("schedule", GROUPS["schedule"])
def test_every_schedule_becomes_an_optimiser_at_its_own_peak(schedule):
    config = composed("train", f"schedule={schedule}")
    optimisation = build(config.schedule.optimisation)
    optimizer = optimisation.optimizer([torch.zeros(1, requires_grad=True)])
    assert optimizer.param_groups[0]["lr"] == config.schedule.lr
    assert optimizer.param_groups[0]["weight_decay"] == config.schedule.weight_decay
    optimisation.lr_scheduler(optimizer)
    assert 0 < optimizer.param_groups[0]["lr"] <= config.schedule.lr


def test_the_data_of_a_run_are_cut_and_counted_as_its_schedule_says():
    config = composed("train", *TINY_SCENES, "schedule.crop=[40,48]", "schedule.batch_size=3", "schedule.steps=7")
    data = training_data(TrainSettings.of(config))
    data.setup("fit")
    assert data.counts() == {"train/synthetic": 4, "val": 2, "test/synthetic": 2}
    assert (data.batch_size, data.steps, data.workers) == (3, 7, 0)
    assert data.parts["synthetic"].augmentations[-1].size == (40, 48)


@pytest.mark.parametrize(
    ("program", "override"),
    [
        ("train", "modle=raft"),
        ("train", "model=raftt"),
        ("train", "model.network.correlatoin=on_demand"),
        ("train", "data.scenes.sise=[64,64]"),
        ("train", "schedule.stpes=10"),
        ("train", "schedule.optimisation.optimizer.lrate=1"),
        ("train", "trainer.presicion=16"),
        ("train", "callbacks.best.monitr=val/epe"),
        ("evaluate", "splitt=val"),
        ("predict", "inptu=clip.mp4"),
        ("benchmark", "warmup=3"),
    ],
)
def test_a_misspelt_key_is_an_error(program, override):
    with pytest.raises(HydraException):
        composed(program, override)


@pytest.mark.parametrize(
    ("part", "override"),
    [
        ("model", "+model.network.correlatoin=on_demand"),
        ("model", "+model.objective.gama=0.9"),
        ("model", "+model.padder.moed=kitti"),
        ("data", "+data.scenes.sise=[64,64]"),
        ("data", "+data.scenes.effects.fogg=null"),
        ("data", "+data.worker=1"),
    ],
)
def test_a_key_that_nothing_reads_is_an_error(part, override):
    config = composed("train", override)
    with pytest.raises(FlowBenchError, match=override.split("=")[0].rsplit(".", 1)[1]):
        build(config[part])


@pytest.mark.parametrize(
    "target", ["os.system", "builtins.eval", "subprocess.run", "flowbenchmark.x", "torchaudio.load"]
)
@pytest.mark.parametrize("place", ["{%s}", "{_target_: flowbench.ops.padding.InputPadder, mode: {%s}}", "{a: [{%s}]}"])
def test_an_untrusted_target_is_refused_wherever_it_stands(target, place):
    config = OmegaConf.create(place.replace("%s", f"_target_: {target}, command: 'exit 1'"))
    with pytest.raises(FlowBenchError, match=f"'{target}' is refused: a config may only name"):
        build(config)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "torch.hub.load",
        "pytorch_lightning.Trainer",
        "flowbench.io.atomic.os.mkdir",
        "flowbench.io.records.write_json",
        "flowbench.structures.torch.load",
        "flowbench.models.base.torch.load",
        "flowbench.models.base.pl.Trainer",
        "flowbench.data.datamodule.DataLoader",
        "flowbench.data.cache.SampleCache",
        "flowbench.data.sample_trees.write_tree",
    ],
)
def test_a_checkpoint_may_only_name_our_own_objects(target):
    with pytest.raises(FlowBenchError, match=f"'{target}' is refused: a checkpoint may only name FlowBench's own"):
        build_remembered({"_target_": target})
    padding = build_remembered({"_target_": "flowbench.ops.padding.InputPadder", "mode": "kitti"})
    assert padding.mode == "kitti"


def test_secrets_are_read_by_what_is_built_and_never_written(monkeypatch):
    monkeypatch.setenv("FLOWBENCH_TEST_KEY", "kitti")
    config = OmegaConf.create(
        {
            "_target_": "flowbench.ops.padding.InputPadder",
            "mode": "${oc.env:FLOWBENCH_TEST_KEY}",
            "minimum": "${.multiple}",
            "multiple": 16,
        }
    )
    written = resolved(config)
    assert written["mode"] == "${oc.env:FLOWBENCH_TEST_KEY}"
    assert written["minimum"] == 16
    for text in (config, OmegaConf.create(written)):
        assert build(text).mode == "kitti"
    assert OmegaConf.to_container(config, resolve=True)["mode"] == "kitti"


def test_what_is_written_keeps_the_default_of_a_secret(monkeypatch):
    monkeypatch.delenv("FLOWBENCH_TEST_KEY", raising=False)
    written = resolved(OmegaConf.create({"key": "${oc.env:FLOWBENCH_TEST_KEY,anonymous}"}))
    assert OmegaConf.create(written).key == "anonymous"


def test_a_models_settings_are_plain_values():
    with torch.device("meta"):
        settings = build_model(composed("train", "model=raft_small").model).settings
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert type(settings["model"]["network"]) is dict
