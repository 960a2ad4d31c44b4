"""Helpers for listing the files of data sets."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from flowbench.errors import FlowBenchError


def numbered(folder: Path, before: str, after: str) -> dict[int, Path]:
    """The files named `before`<number>`after` by their number, in order; none where the folder is missing.

    Args:
        folder: is not searched below.
        before: the text in front of the number.
        after: the text behind it.
    """
    if not folder.is_dir():
        return {}
    name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    found = {int(match[1]): folder / match[0] for match in map(name.fullmatch, os.listdir(folder)) if match}
    return dict(sorted(found.items()))


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name; hidden ones left out."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def chosen(title: str, option: str, found: str | Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The values of an option that takes one or several of `known`.

    Args:
        title: the data set's, for the message.
        option: the setting's name, for the message.
        found: the user's value or values.
        known: all possible values.

    Raises FlowBenchError for no value, one that is not known, or one that is given twice.
    """
    values = (found,) if isinstance(found, str) else tuple(found)
    if not values or not set(values) <= set(known) or len(set(values)) < len(values):
        raise FlowBenchError(f"{title}: {option}={found}: choose of {', '.join(known)}, each once.")
    return values


def chosen_split(title: str, split: str, known: Sequence[str]) -> str:
    """The split. Raises FlowBenchError, with the data set's title, unless it is one of the known ones."""
    if split not in known:
        raise FlowBenchError(f"{title} has no split '{split}': choose {' or '.join(known)}.")
    return split


def picked(option: str, folders: Sequence[Path], only: Sequence[str] | None, leave_out: Sequence[str]) -> list[Path]:
    """The folders named in `only`, all for None, without those named in `leave_out`.

    Args:
        option: the folders' name in a message.
        folders: all of them.
        only: names.
        leave_out: names.

    Raises FlowBenchError for a name that is no folder's.
    """
    there = {folder.name for folder in folders}
    strange = [name for name in (*(only or ()), *leave_out) if name not in there]
    if strange:
        raise FlowBenchError(f"{option}: no '{strange[0]}' among {', '.join(sorted(there)) or 'no folders at all'}.")
    return [folder for folder in folders if (only is None or folder.name in only) and folder.name not in leave_out]
