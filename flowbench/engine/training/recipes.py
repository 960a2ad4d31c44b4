"""The recipe of a training run: whose it is, and what it may not overrule without a word."""

from __future__ import annotations

from collections.abc import Mapping

from flowbench.configs import file_settings, option_file, recipe_of, schedule_of
from flowbench.engine.training.settings import TrainSettings
from flowbench.errors import FlowBenchError


def recipe_line(settings: TrainSettings, choices: Mapping[str, str | None]) -> str:
    """Whose settings the run trains with, in one line. choices: the chosen options, by group."""
    names = [f"{group} {choices[group]}" for group in ("schedule", "experiment") if choices.get(group)]
    if settings.source:
        names.insert(0, f"recipe {choices['recipe']}: {settings.source}" if "recipe" in choices else settings.source)
    else:
        names.insert(0, f"no paper gives a recipe for {settings.model.name} on {settings.data.name}")
    return "; ".join(names)


def refuse_overruled_schedule(choices: Mapping[str, str | None]) -> None:
    """Raises FlowBenchError for another schedule than that of the model and the data, whose recipe sets a schedule's values.

    A recipe that is not theirs was chosen to be combined. choices: the chosen options, by group.
    """
    model, data, schedule, recipe = (choices.get(group) for group in ("model", "data", "schedule", "recipe"))
    theirs = recipe is not None and recipe == recipe_of(str(model), str(data)) and _sets_schedule(recipe)
    if theirs and schedule != schedule_of(str(model), str(data)):
        raise FlowBenchError(
            f"schedule={schedule} was given, but the recipe of this model and data, {recipe}, sets the schedule's values "
            "itself: add ~recipe to train without it, or leave schedule out and change single values, such as "
            "schedule.lr=1e-4."
        )


def _sets_schedule(recipe: str) -> bool:
    """Whether a recipe, or one that it is made of, gives values of the schedule."""
    file = option_file("recipe", recipe)
    if file is None:
        return False
    content = file_settings(file)
    parts = [entry for entry in content.get("defaults", ()) if isinstance(entry, str) and entry != "_self_"]
    return "schedule" in content or any(map(_sets_schedule, parts))
