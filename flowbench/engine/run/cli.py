"""The frame of every command-line program: Hydra, errors in a sentence, exit codes."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from flowbench.configs import config_folder
from flowbench.engine.config.arguments import hydra_words, named_plugins
from flowbench.engine.config.choices import check_choices
from flowbench.engine.config.kinds import read
from flowbench.engine.config.search_path import find_plugin_folders
from flowbench.engine.run import Run
from flowbench.engine.run.cpu_memory import keep_freed_memory
from flowbench.engine.run.error_messages import is_explained, sentence
from flowbench.engine.run.failures import Failures, write_to_log_file
from flowbench.engine.run.interruption import Interrupted, refuse_to_start, signals_end_the_program
from flowbench.engine.run.logging_filters import quieten_lightning
from flowbench.engine.run.rank import is_first_process
from flowbench.engine.run.refused_runs import given_folder_exists, refuse_links, without_empty_folder
from flowbench.engine.run.settings import settings_class, settings_of
from flowbench.plugins import plugins_of_its_own, use_plugins

Task = Callable[[Any, Run], Any]


def command(task: Task, *, config: str, positional: str | None = None) -> None:
    """Composes conf/<config>.yaml with the command line and runs the task on what comes of it.

    What the user can mend ends in one sentence and exit status 1; debug=true shows the traceback as well. Only this module
    reads the command line and what Hydra keeps of it.

    Args:
        task: Takes the settings, a dataclass that its annotation names, and the run.
        config: The program's file in conf/.
        positional: The setting that words without a name belong to, as in `predict.py clip.mp4`.
    """
    with plugins_of_its_own():
        _run(task, config, positional)


def _run(task: Task, config: str, positional: str | None) -> None:
    # Hydra then passes its errors on instead of printing and ending the program itself.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    OmegaConf.register_new_resolver("unique", lambda: secrets.token_hex(3), use_cache=True, replace=True)
    quieten_lightning()
    find_plugin_folders()
    failures = Failures(config, sys.argv[1:])
    try:
        with signals_end_the_program():
            sys.argv[1:] = hydra_words(sys.argv[1:], config=config, positional=positional)
            use_plugins(*named_plugins(sys.argv[1:]))
            check_choices(sys.argv[1:])
            refuse_links(sys.argv[1:])
            hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=config)(
                _job(task, failures, may_be_there=given_folder_exists(sys.argv[1:]))
            )()
    except Interrupted as end:
        if is_first_process():
            failures.print_all()
            Console(stderr=True, soft_wrap=True).print(_escaped(end.message), highlight=False)
        sys.exit(end.exit_status)
    except BrokenPipeError:
        # What reads the output has closed it, as `| head` does; Python would fail again when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        failures.print_all()
        if _debugging() or not is_explained(error):
            raise
        if not failures:
            _fail(sentence(error, config=config, arguments=sys.argv[1:]))
        sys.exit(1)
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted.")
        sys.exit(130)


def _job(task: Task, failures: Failures, *, may_be_there: bool) -> Callable[[DictConfig], None]:
    """What Hydra calls with each config. In a single run it would print its own lines around an error; a sweep must go on
    to its next job. Either way the run's log file has what ended it.

    may_be_there: whether the run's folder was not made for it, and so stays where the run is refused.
    """

    def job(config: DictConfig) -> None:
        run, alone = _this_run(), HydraConfig.get().mode != RunMode.MULTIRUN
        with without_empty_folder(run.folder, kept=may_be_there or not alone):
            refuse_to_start()
            failures.begin(run.overrides)
            try:
                read("debug", config.debug, bool)
                if read("keep_freed_memory", config.keep_freed_memory, bool):
                    keep_freed_memory()
                task(settings_of(settings_class(task), config, run.overrides), run)
            except Interrupted as end:
                if is_first_process():
                    write_to_log_file(end.message, level=logging.WARNING)
                raise
            except Exception as error:
                _end_job(error, failures, alone=alone)

    job.__module__, job.__name__ = task.__module__, task.__name__
    return job


def _end_job(error: Exception, failures: Failures, *, alone: bool) -> None:
    explained = is_explained(error)
    message = failures.sentence(error) if explained else f"{type(error).__name__}: {error}"
    write_to_log_file(message, error=None if explained and not _debugging() else error)
    if not alone:
        failures.add(message)
        raise error
    if _debugging() or not explained:
        raise error
    _fail(message)


def _this_run() -> Run:
    hydra = HydraConfig.get()
    return Run(
        folder=Path(hydra.runtime.output_dir),
        command=tuple(sys.argv),
        overrides=job_overrides(),
        choices=MappingProxyType(dict(hydra.runtime.choices)),
    )


def job_overrides() -> tuple[str, ...]:
    """The words that this job was composed of, but for those on Hydra itself; references in them are not resolved."""
    words = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    return tuple(map(str, words or ()))


def _debugging() -> bool:
    return any(argument.lower() in ("debug=true", "++debug=true", "+debug=true") for argument in sys.argv[1:])


def _fail(message: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {_escaped(message)}", highlight=False)
    sys.exit(1)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
