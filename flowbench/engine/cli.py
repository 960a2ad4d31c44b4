"""What every command-line program shares: Hydra, errors in a sentence, exit codes."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from flowbench.configs import config_folder
from flowbench.engine.cpu_memory import keep_freed_memory
from flowbench.engine.quiet import quieten_lightning
from flowbench.engine.sentences import USER_ERRORS, sentence

Task = Callable[[DictConfig], Any]


def command(task: Task, *, config: str) -> None:
    """Composes conf/<config>.yaml with the command line and runs the task on it.

    What the user can mend ends in one sentence and exit status 1; debug=true shows the traceback as well.
    """
    keep_freed_memory()
    # Hydra then passes its errors on instead of printing and ending the program itself.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    OmegaConf.register_new_resolver("unique", lambda: secrets.token_hex(3), use_cache=True, replace=True)
    sys.argv[1:] = _with_resumed_folder(sys.argv[1:])
    quieten_lightning()
    try:
        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=config)(
            _in_a_sentence(task, config)
        )()
    except USER_ERRORS as error:
        if _debugging():
            raise
        _fail(sentence(error, config=config, arguments=sys.argv[1:]))
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted.")
        sys.exit(130)


def _in_a_sentence(task: Task, config_name: str) -> Task:
    """In a single run Hydra would print its own lines around an error; a sweep must go on to its next job."""

    def run(config: DictConfig) -> Any:
        try:
            return task(config)
        except USER_ERRORS as error:
            if _debugging() or HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            _fail(sentence(error, config=config_name, arguments=sys.argv[1:]))

    run.__module__, run.__name__ = task.__module__, task.__name__
    return run


def _with_resumed_folder(arguments: list[str]) -> list[str]:
    """A resumed run goes on in its own folder: no new one is made for it."""
    folders = [argument.removeprefix("resume=") for argument in arguments if argument.startswith("resume=")]
    if not folders or not Path(folders[-1]).is_dir():
        return arguments
    return [*arguments, f"hydra.run.dir='{folders[-1]}'", "hydra.output_subdir=null"]


def _debugging() -> bool:
    return any(argument.lower() in ("debug=true", "++debug=true", "+debug=true") for argument in sys.argv[1:])


def _fail(told: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {_escaped(told)}", highlight=False)
    sys.exit(1)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
