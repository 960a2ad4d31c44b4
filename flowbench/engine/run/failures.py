"""Errors that end runs: in the log file of each, and at the end of a sweep all together."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from flowbench.engine.run.error_messages import sentence
from flowbench.engine.run.folder import CONFIG
from flowbench.engine.run.lock import LOCK
from flowbench.engine.run.rank import is_first_process


class Failures:
    """What went wrong in the jobs of a sweep; empty for a single run, which says it itself.

    Args:
        config: the name of the program's config, for hints in its own settings.
        words: the command line's.
    """

    def __init__(self, config: str, words: Sequence[str]) -> None:
        self._config, self._words = config, list(words)
        self._jobs: list[list[str]] = []
        self._messages: dict[int, str] = {}

    def __bool__(self) -> bool:
        return bool(self._messages)

    def begin(self, overrides: Sequence[str]) -> None:
        self._jobs.append(list(overrides))

    def add(self, message: str) -> None:
        number = len(self._jobs) - 1
        self._messages[number] = message
        print(f"error: job #{number} failed: {message}", file=sys.stderr, flush=True)

    def sentence(self, error: BaseException) -> str:
        return sentence(error, config=self._config, arguments=self._words)

    def print_all(self) -> None:
        """How many jobs failed, and why each."""
        if not self:
            return
        shared = set(self._jobs[0]).intersection(*self._jobs)
        print(f"error: {len(self._messages)} of {len(self._jobs)} jobs failed:", file=sys.stderr)
        for number, message in self._messages.items():
            own = " ".join(word for word in self._jobs[number] if word not in shared)
            print(f"  #{number} {own}: {message}", file=sys.stderr, flush=True)


def write_to_log_file(text: str, *, level: int = logging.ERROR, error: BaseException | None = None) -> None:
    """Adds a line to the run's log file alone, for the terminal shows it by other means; with the traceback of `error`.

    Where the folder is another run's, which this one was refused, nothing is written.
    """
    raised = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.LogRecord("flowbench", level, __file__, 0, text, None, raised)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and not _is_of_another_run(handler):
            handler.handle(record)


def _is_of_another_run(log: logging.FileHandler) -> bool:
    """A run that got its folder has begun its log there, and its further processes have it, too."""
    folder = Path(log.baseFilename).parent
    return log.stream is None and is_first_process() and any((folder / name).exists() for name in (CONFIG, LOCK))
