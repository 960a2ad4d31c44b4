"""A model's config by its name, outside of a program's own config."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from flowbench.configs import config_folder


def model_config(name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """conf/model/<name>.yaml with changes."""
    with _hydra_of_our_own(), initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(overrides=[f"+model={name}", *(_of_the_model(change) for change in overrides)]).model


def _of_the_model(change: str) -> str:
    """A change of a value, model.<key>=..., or the choice of a part that has a group of its own, model/<group>=..."""
    is_group = (config_folder() / "model" / change.partition("=")[0]).is_dir()
    return f"model/{change}" if is_group else f"model.{change}"


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
