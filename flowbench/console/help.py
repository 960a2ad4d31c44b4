"""The short help of a program, made of conf/: what it does, examples, and the settings that people change."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

from flowbench.configs import config_folder, option_names
from flowbench.programs import PROGRAMS, typed

_WIDTH = 100
_INDENT = 4
# The options of a group are left to `--help all` where they take more lines than this.
_LINES_OF_OPTIONS = 3
# Whose comments explain the settings of a group.
_EXPLAINED_IN = {"data": "synthetic", "schedule": "one_cycle", "trainer": "default"}
_EXAMPLE = re.compile(r"^flowbench (\w+)", re.M)


def short_help(name: str) -> str:
    """What `<program> --help` prints."""
    config = yaml.safe_load(_file(name).read_text())
    header = _EXAMPLE.sub(lambda found: typed(found[1]), config["hydra"]["help"]["header"])
    return "\n".join(
        [
            header.rstrip(),
            "",
            "Settings, given as name=value:",
            *_settings(name),
            "",
            *_choices(config["defaults"]),
            f"{typed(name)} --help all    shows all settings and choices",
            f"{typed(name)} ... --cfg job    prints the settings of a command instead of running it",
        ]
    )


def described(file: Path, name: str) -> str | None:
    """The comment of a setting of a file of conf/, on its line and the next ones; None where there is none.

    name: of a setting, on the file's top level.
    """
    lines = iter(file.read_text().splitlines())
    for line in lines:
        if found := re.match(rf"{re.escape(name)}:[^#]*#\s?(.*)", line):
            words = [found[1]]
            for following in lines:
                if not (more := re.match(r"\s+#\s?(.*)", following)):
                    break
                words.append(more[1])
            return " ".join(words)
    return None


def explanation(program: str, setting: str) -> str:
    """The comment of a setting of a program, which may lie in one of its groups."""
    group, _, name = setting.rpartition(".")
    file = config_folder() / group / f"{_EXPLAINED_IN[group]}.yaml" if group else _file(program)
    return described(file, name) or ""


def _file(program: str) -> Path:
    return config_folder() / f"{program}.yaml"


def _settings(program: str) -> Iterator[str]:
    names = PROGRAMS[program].settings
    width = max(map(len, names)) + 2
    for name in names:
        yield from _entry(name, explanation(program, name), width)


def _entry(name: str, text: str, width: int) -> Iterator[str]:
    """A name in a column of its own, and its text beside it."""
    beside = " " * (_INDENT + width)
    yield from textwrap.wrap(text, _WIDTH, initial_indent=f"{'':{_INDENT}}{name:{width}}", subsequent_indent=beside)


def _choices(defaults: list[object]) -> Iterator[str]:
    groups = [next(iter(entry)).split()[-1] for entry in defaults if isinstance(entry, dict)]
    groups = [group for group in groups if group not in ("hydra", "logger", "callbacks")]
    if not groups:
        return
    yield "Choices, given as group=name:"
    width = max(map(len, groups)) + 2
    for group in groups:
        options = option_names(group.partition("@")[0])
        lines = list(_entry(group, ", ".join(options), width))
        yield from lines if len(lines) <= _LINES_OF_OPTIONS else _entry(group, f"{len(options)} choices", width)
    yield ""
