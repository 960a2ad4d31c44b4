"""One option of a config group by its name, outside of a program's own config."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from flowbench.configs import build, config_folder, config_folders, with_current_settings
from flowbench.data.datamodule import FlowDataModule
from flowbench.engine.config.arguments import current_word, named_plugins
from flowbench.engine.config.choices import check_choices
from flowbench.engine.config.search_path import find_plugin_folders
from flowbench.errors import FlowBenchError
from flowbench.plugins import use_plugins


def model_config(name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """conf/model/<name>.yaml with changes. Raises FlowBenchError for a model, or a part of it, that does not exist."""
    words = [f"+model={name}", *(_of_the_model(change) for change in overrides)]
    check_choices(words)
    return _composed(words).model


def chosen_data(overrides: Sequence[str]) -> list[str]:
    """The names of data=[<name>,<name>] among a command line's words; empty where data is no list."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = [word.value() for word in parsed if word.key_or_group == "data"]
    return [str(name) for name in values[-1]] if values and isinstance(values[-1], list) else []


def data_config(name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """conf/data/<name>.yaml with those of a command line's changes that concern the data and where they lie."""
    # What is trained on is another set's business.
    changes = [word for word in overrides if word.lstrip("+~").startswith(("data.", "data/", "paths."))]
    changes = [word for word in changes if not word.lstrip("+~").startswith("data.train.")]
    try:
        return _composed([f"+data={name}", *changes], "paths").data
    except HydraException as error:
        raise FlowBenchError(f"{' '.join(changes)} does not fit data={name}, one of the list: {error}") from error


def group_config(group: str, name: str) -> DictConfig:
    """conf/<group>/<name>.yaml. Raises FlowBenchError where there is none."""
    check_choices([f"+{group}={name}"])
    return _composed([f"+{group}={name}"])[group]


def program_config(program: str, words: Sequence[str]) -> DictConfig:
    """conf/<program>.yaml with changes, as the command line composes it. Raises FlowBenchError for one that does not fit."""
    words = [current_word(word) for word in words]
    use_plugins(*named_plugins(words))
    check_choices(words)
    try:
        return _composed(words, program)
    except HydraException as error:
        raise FlowBenchError(f"{' '.join(words)} does not fit conf/{program}.yaml: {error}") from error


def data_modules(data: DictConfig | Sequence[DictConfig] | None) -> list[FlowDataModule]:
    """The data sets of one config of conf/data or of several. Raises FlowBenchError where there is none."""
    configs = [data] if isinstance(data, DictConfig) else list(data or ())
    if not configs:
        raise FlowBenchError("No data was named: add data=<name>, or data=[<name>,<name>].")
    return [build(config) for config in configs]


def _of_the_model(change: str) -> str:
    """A change of a value, model.<key>=..., or the choice of a part that has a group of its own, model/<group>=..."""
    is_group = any((folder / "model" / change.partition("=")[0]).is_dir() for folder in config_folders())
    return f"model/{change}" if is_group else current_word(f"model.{change}")


def _composed(overrides: list[str], program: str | None = None) -> DictConfig:
    find_plugin_folders()
    with _hydra_of_our_own(), initialize_config_dir(str(config_folder()), version_base="1.3"):
        return with_current_settings(compose(program, overrides))


@contextmanager
def _hydra_of_our_own() -> Iterator[None]:
    """Sets aside a Hydra that the caller's program may be running under."""
    running = GlobalHydra.instance()
    theirs = running.hydra
    running.clear()
    try:
        yield
    finally:
        # Hydra's own clean-up puts a copy in the place of the instance.
        GlobalHydra.set_instance(running)
        running.hydra = theirs
