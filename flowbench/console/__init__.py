"""The command `flowbench`: one program a word, each a function of flowbench.engine."""

from __future__ import annotations

import difflib
import os
import pkgutil
import sys

import flowbench
from flowbench.console.help import short_help
from flowbench.programs import PROGRAMS, started_as, typed

_HELP = ("--help", "-h")
_COMPLETION = ("-sc", "--shell-completion")


def main() -> None:
    """Runs the program that the first word names; without a word, lists the programs."""
    word = sys.argv[1] if len(sys.argv) > 1 else "--help"
    name = word.replace("-", "_")
    if word == "--version":
        _print(f"FlowBench {flowbench.__version__}")
    elif word in _HELP:
        _print(overview())
    elif word in _COMPLETION:
        from flowbench.console.completion import complete

        complete("".join(sys.argv[2:3]))
    elif name not in PROGRAMS:
        _refuse(word)
    else:
        sys.argv = [started_as(name, sys.argv[0]), *sys.argv[2:]]
        run_program(name)


def run_program(name: str) -> None:
    """Runs a program on the words of the command line, those behind the program's own name."""
    words = sys.argv[1:]
    if not set(_HELP).isdisjoint(words) and "all" not in words:
        _print(short_help(name))
        return
    if not set(_HELP).isdisjoint(words):
        sys.argv[1:] = [word for word in words if word != "all"]
    # PyTorch and Lightning take seconds to import.
    from flowbench.engine.run.cli import command

    program = PROGRAMS[name]
    command(pkgutil.resolve_name(program.task), config=name, positional=program.positional)


def overview() -> str:
    """The list of programs."""
    width = max(map(len, PROGRAMS))
    programs = (f"  {name:{width}}  {program.about}" for name, program in PROGRAMS.items())
    start = typed("train").removesuffix(" train")
    return "\n".join(
        [
            "FlowBench: train, measure and compare optical-flow networks.",
            "",
            f"{start} <program> [<setting>=<value> ...]",
            "",
            *programs,
            "",
            f"{start} <program> --help    explains a program and its most used settings",
            f"{start} --version",
        ]
    )


def _refuse(name: str) -> None:
    near = difflib.get_close_matches(name.replace("-", "_"), PROGRAMS, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(PROGRAMS)}."
    sys.exit(f"error: There is no program '{name}': {hint}")


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What reads the output has closed it, as `| head` does; Python would fail again when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
