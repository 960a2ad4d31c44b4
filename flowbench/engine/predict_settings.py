"""Whether a prediction's settings make sense, before anything is loaded."""

from __future__ import annotations

from omegaconf import DictConfig

from flowbench.errors import FlowBenchError

_CHOICES = {
    "format": ("flo", "png", "npz", "none"),
    "video": ("auto", True, False),
    "precision": (32, "bf16", 16),
    "pictures": ("auto", True, False),
    "backward": (True, False),
    "warm_start": (True, False),
    "compare_cold": (True, False),
    "submission": (True, False),
}
_COUNTS = {"batch_size": int, "iterations": int | None, "limit": int | None, "white": int | None}
_AMOUNTS = {"fps": int | float | None, "max_flow": int | float | None}


def check_settings(config: DictConfig) -> None:
    """Raises FlowBenchError, which says what to change, for settings that are unknown or exclude each other."""
    _check_source(config)
    for name, choices in _CHOICES.items():
        if config[name] not in choices:
            raise FlowBenchError(
                f"{name}={config[name]}: choose one of {', '.join(str(choice) for choice in choices)}."
            )
    for name, kind in (_COUNTS | _AMOUNTS).items():
        value = config[name]
        if not isinstance(value, kind) or (value is not None and value <= 0):
            raise FlowBenchError(f"{name}={value}: a {'whole ' * (name in _COUNTS)}number above zero is needed.")
    _check_warm_start(config)
    if config.get("data"):
        _check_data(config)
    if config.submission:
        _check_submission(config)


def _check_source(config: DictConfig) -> None:
    if not config.get("ckpt"):
        raise FlowBenchError("No checkpoint was given, and fresh weights would predict noise: add ckpt=<file>.")
    if config.input and config.get("data"):
        raise FlowBenchError(f"input={config.input} and data={config.data.get('name')} exclude each other: give one.")
    if not config.input and not config.get("data"):
        raise FlowBenchError(
            "No input was given: add input=<video | folder | pattern | [a.png,b.png]>, or data=<name> for a data set."
        )


def _check_warm_start(config: DictConfig) -> None:
    if config.warm_start and config.batch_size != 1:
        raise FlowBenchError(
            f"warm_start=true starts each pair from the one before, but batch_size={config.batch_size} computes them "
            "at once: set batch_size=1, or leave warm_start out."
        )
    if config.compare_cold and not config.warm_start:
        raise FlowBenchError(
            "compare_cold=true says what a warm start saved, but warm_start=false: add warm_start=true, or leave "
            "compare_cold out."
        )


def _check_data(config: DictConfig) -> None:
    if "_target_" not in config.data:
        raise FlowBenchError("Changes of data need the data set that they change: add data=<name>.")
    if config.batch_size != 1:
        raise FlowBenchError(
            f"batch_size={config.batch_size}: the pairs of a data set, which may differ in size, are predicted one at a "
            "time. Leave batch_size out."
        )
    if config.white is not None:
        raise FlowBenchError(f"white={config.white} is for input; a folder of your own takes data.white.")
    if config.video is True:
        raise FlowBenchError("video=true: a data set's pairs are no video. Leave it out, or give input=<a folder>.")


def _check_submission(config: DictConfig) -> None:
    if not config.get("data"):
        raise FlowBenchError("submission=true needs the data set that is submitted to: add data=<name>.")
    if config.split != "test":
        raise FlowBenchError(
            f"split={config.split}: submission=true predicts the pairs whose truth the server keeps, which are the data "
            "set's own test split. Set split=test, or leave it out."
        )
    if config.backward:
        raise FlowBenchError("backward=true: no server takes it of pairs that are not its own. Leave it out.")
