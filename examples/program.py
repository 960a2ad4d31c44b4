"""Common error handling of the programs: errors that the user can fix end in one sentence and exit status 1."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from flowbench.errors import FlowBenchError


def run(task: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> None:
    try:
        task(arguments)
    except FlowBenchError as error:
        sys.exit(str(error))


def count(text: str) -> int:
    """A whole number above zero, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: give a whole number above 0.")
    return number
