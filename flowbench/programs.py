"""The table of programs, and how a user starts them: `flowbench train`, or `python train.py` in a checkout."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class Program:
    """A program, whose settings are conf/<name>.yaml.

    Args:
        task: "module:function" of what it does; imported when it is started.
        about: what it does, in one line.
        positional: the setting that words without a name belong to.
        settings: the settings that `--help` explains; `--help all` shows the others, too.
        script: its file in a checkout; None if there is none.
    """

    task: str
    about: str
    positional: str | None = None
    settings: tuple[str, ...] = ()
    script: str | None = None


def _engine(
    name: str, about: str, settings: str, *, positional: str | None = None, folder: str = "tools/"
) -> tuple[str, Program]:
    """A program that is a function of its own name in a module of flowbench.engine."""
    return name, Program(
        f"flowbench.engine.{name}:{name}", about, positional, tuple(settings.split()), f"{folder}{name}.py"
    )


PROGRAMS: Mapping[str, Program] = MappingProxyType(
    dict(
        [
            _engine(
                "train",
                "train a model on a data set",
                "schedule.steps schedule.batch_size schedule.crop schedule.lr schedule.hours trainer.precision "
                "data.workers seed init resume",
                folder="",
            ),
            _engine(
                "evaluate",
                "measure the error of a checkpoint on data sets",
                "ckpt split iterations cascade warm_start pictures figures",
                positional="ckpt",
                folder="",
            ),
            _engine(
                "predict",
                "estimate the flow of a video or of images",
                "ckpt input output format pictures video backward cascade max_side every warm_start iterations limit device",
                positional="input",
                folder="",
            ),
            _engine(
                "benchmark",
                "measure time and memory",
                "subject size batch_size iterations precision training device repeats",
                positional="subject",
            ),
            _engine(
                "export", "write a network to ONNX or .pt2", "ckpt format size dynamic iterations", positional="ckpt"
            ),
            _engine("doctor", "check that the files of a data set are complete", "at_most workers", positional="data"),
            _engine("contact_sheet", "show samples of a data set", "split first count width", positional="data"),
            _engine("data_statistics", "compare two data sets", "split at_most size figures"),
            (
                "list",
                Program(
                    "flowbench.engine.listing:listing",
                    "list models, data sets and weights",
                    "what",
                    ("what", "format"),
                    "tools/list.py",
                ),
            ),
            _engine("choose_pictures", "find photographs and cut-outs for the built-in scenes", "folder to skip"),
            _engine(
                "check_submission",
                "check the files for a benchmark's server before the upload",
                "submission",
                positional="submission",
            ),
            _engine(
                "release_weights",
                "write a checkpoint's weights in half precision, with their card",
                "ckpt name to measured",
                positional="ckpt",
            ),
            _engine(
                "analyse",
                "show how an implicit model converges",
                "ckpt input iterations damping tolerance threshold device",
                positional="input",
            ),
        ]
    )
)

_MODULE = "python -m flowbench"


def typed(name: str) -> str:
    """What a user types to start a program, in the way in which this one was started."""
    started, script = Path(sys.argv[0]).name, PROGRAMS[name].script
    if script and started in {Path(program.script).name for program in PROGRAMS.values() if program.script}:
        return f"python {script}"
    return f"{_MODULE if sys.argv[0].startswith(_MODULE) else 'flowbench'} {name}"


def started_as(name: str, file: str) -> str:
    """How a program of the console was started, to stand in sys.argv[0]; file: what stood there."""
    return f"{_MODULE if Path(file).name == '__main__.py' else 'flowbench'} {name}"


def restarting(started: str) -> list[str]:
    """The command that starts the same program again; started: sys.argv[0], or the first word of a run's command."""
    name = started.rpartition(" ")[2]
    if started == f"{_MODULE} {name}":
        return [sys.executable, "-m", "flowbench", name]
    if started == f"flowbench {name}":
        # Without the working folder among those that modules are imported from, like the console script.
        return [sys.executable, "-P", "-m", "flowbench", name]
    return [sys.executable, started]
