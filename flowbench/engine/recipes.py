"""The recipe of a training run: whose it is, and what it may not overrule without a word."""

from __future__ import annotations

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from flowbench.configs import config_folder, file_settings
from flowbench.engine.arguments import job_overrides
from flowbench.errors import FlowBenchError


def recipe_line(config: DictConfig) -> str:
    """Whose settings the run trains with, in one line."""
    chosen = HydraConfig.get().runtime.choices
    names = [f"{group} {chosen[group]}" for group in ("schedule", "experiment") if chosen.get(group)]
    if config.source:
        names.insert(0, f"recipe {chosen['recipe']}: {config.source}")
    else:
        names.insert(0, f"no paper gives a recipe for {config.model.name} on {config.data.name}")
    return "; ".join(names)


def refuse_overruled_schedule() -> None:
    """Raises FlowBenchError where the command line chose a schedule, and a recipe that it did not choose sets another."""
    typed = [word for word in job_overrides() if word.startswith(("schedule=", "recipe="))]
    recipe = HydraConfig.get().runtime.choices.get("recipe")
    if len(typed) == 1 and typed[0].startswith("schedule=") and recipe and _sets_schedule(recipe):
        raise FlowBenchError(
            f"{typed[0]} was given, but the recipe of this model and data, {recipe}, sets the schedule's values itself: add "
            f"~recipe to train without it, or leave schedule out and change single values, such as schedule.lr=1e-4."
        )


def _sets_schedule(recipe: str) -> bool:
    """Whether a recipe, or one that it is made of, gives values of the schedule."""
    file = config_folder() / "recipe" / f"{recipe}.yaml"
    if not file.is_file():
        return False
    content = file_settings(file)
    parts = [entry for entry in content.get("defaults", ()) if isinstance(entry, str) and entry != "_self_"]
    return "schedule" in content or any(map(_sets_schedule, parts))
