"""The published recipes of FastFlowNet (arXiv 2103.04524) and of LightFlow's public code (arXiv 1804.05830)."""

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from support.hydra import GROUPS, composed

from flowbench.configs import build, config_folder
from flowbench.data.augmentation.geometric import RandomFlip, RandomRotate, RandomTranslate
from flowbench.engine.config.models import build_model
from flowbench.engine.train import training_data
from flowbench.engine.training.settings import TrainSettings
from flowbench.objectives import MultiLevelLoss

# recipe: its schedule, the distance
FASTFLOWNET = {
    "fastflownet_chairs": ("s_long", "l2"),
    "fastflownet_things": ("s_fine", "l2"),
    "fastflownet_sintel": ("fastflownet_sintel", "robust"),
    "fastflownet_kitti": ("fastflownet_kitti", "robust"),
}
# What a model's own config may set differently from what was published.
NETWORK = {"fastflownet": "unit_features", "lightflow": "predictor_activation"}
LIGHTFLOW = ["lightflow", "lightflow_075", "lightflow_05"]


def built(config):
    with torch.device("meta"):
        return build_model(config.model)


def test_no_recipe_is_left_out():
    written = {name for name in GROUPS["recipe"] if name.startswith(("fastflownet", "lightflow"))}
    # Those of the built-in scenes are ours.
    written = {name for name in written if not name.endswith("_synthetic")}
    assert written == {*FASTFLOWNET, "lightflow_chairs"}


@pytest.mark.parametrize("recipe", FASTFLOWNET)
def test_a_recipe_of_fastflownet_is_what_was_published(recipe):
    schedule, distance = FASTFLOWNET[recipe]
    data = f"data={recipe.split('_')[1]}"
    config = composed("train", "model=fastflownet", data)
    assert config.schedule == composed("train", f"schedule={schedule}").schedule
    model = built(config)
    assert not model.network.unit_features
    weights = [0.005, 0.01, 0.02, 0.08, 0.32]
    assert model.objective == MultiLevelLoss(weights, flow_unit=20, distance=distance, total="sum", pooling="mean")
    assert config.data == composed("train", data).data


@pytest.mark.parametrize("recipe", [*FASTFLOWNET, "lightflow_chairs"])
def test_a_recipe_leaves_no_part_of_the_loss_to_the_model(recipe):
    written = _written(recipe).model
    assert set(written.objective) == {"weights", "distance", "total", "pooling"}
    assert set(written.network) - {"batch_norm_momentum"} == {NETWORK[recipe.split("_")[0]], "flow_unit"}


def _written(recipe: str) -> DictConfig:
    """A recipe's file, merged into those that it changes."""
    content = OmegaConf.load(config_folder() / "recipe" / f"{recipe}.yaml")
    return OmegaConf.merge(*(_written(name) for name in content.get("defaults", ())), content)


@pytest.mark.parametrize("name", LIGHTFLOW)
def test_the_recipe_of_lightflow_is_that_of_its_public_code(name):
    config = composed("train", f"model={name}", "data=chairs")
    assert config.schedule == composed("train", "schedule=lightflow_chairs").schedule
    model = built(config)
    # The mean over both components is half of MultiLevelLoss's mean over their sum.
    assert model.objective == MultiLevelLoss([0.5], flow_unit=20, distance="l1", total="mean", pooling="mean")
    assert (model.name, model.network.flow_unit) == (name, 20)
    model.optimisation = build(config.schedule.optimisation)
    assert not model.optimisation.freeze_batch_norm
    decayed, undecayed = model.configure_optimizers()["optimizer"].param_groups
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (4e-5, 0)
    biases = [parameter for name, parameter in model.network.named_parameters() if name.endswith("bias")]
    assert {*undecayed["params"]} == {*biases}


def test_lightflow_augments_as_flownet_and_crops_afterwards():
    data = training_data(TrainSettings.composed("model=lightflow", "data=chairs"))
    *augmentations, crop = data.parts["chairs"].augmentations
    assert augmentations == [RandomTranslate(10), RandomRotate(10, 5), RandomFlip(0.5, 0.5)]
    assert crop.size == (320, 448)


@pytest.mark.parametrize("recipe", [*FASTFLOWNET, "lightflow_chairs"])
def test_the_command_line_wins_over_the_schedule_of_a_recipe(recipe):
    model, data = recipe.split("_")
    config = composed("train", f"model={model}", f"data={data}", "schedule=things_1x", "schedule.lr=2e-5")
    expected = composed("train", "schedule=things_1x", "schedule.lr=2e-5").schedule
    assert config.schedule == expected
