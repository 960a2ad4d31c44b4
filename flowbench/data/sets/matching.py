"""Files that a pattern matches, identified and paired by the text that the wildcards matched."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from flowbench.errors import FlowBenchError
from flowbench.io.frames import is_pattern, natural_order

_LAST_NUMBER = re.compile(r"(\d+)\D*\Z")
# A run of wildcards. One character in brackets is how a pattern writes a literal "[" or "*".
_WILDCARDS = re.compile(r"((?:\*|\?|\[(?!.\])[^\]]+\])+)")
_LITERAL = re.compile(r"\[(.)\]")
_MOST_LISTED = 3


Words = tuple[str, ...]


@dataclass(frozen=True)
class MatchedFile:
    """A file with the text that its pattern's wildcards matched.

    Args:
        path: the file.
        folder_words: matched in its folders.
        name_words: matched in its own name without the suffix.
    """

    path: Path
    folder_words: Words
    name_words: Words

    @cached_property
    def numbering(self) -> tuple[tuple[str, str], int] | None:
        """The last number of the name, after what stands before and behind it; None where there is none."""
        name = "/".join(self.name_words)
        found = _LAST_NUMBER.search(name)
        return None if found is None else ((name[: found.start(1)], name[found.end(1) :]), int(found[1]))

    def __str__(self) -> str:
        return f"'{self.path}'"


def matching(option: str, pattern: str, suffixes: Sequence[str]) -> list[MatchedFile]:
    """The files with one of the suffixes that a pattern matches, or that lie in a folder, in natural order.

    Args:
        option: the setting's name, for the message.
        pattern: a glob or a folder.
        suffixes: in lower case, with the dot.

    Raises FlowBenchError where there are none.
    """
    whole = pattern if is_pattern(pattern) else f"{glob.escape(pattern)}/*"
    found = [name for name in glob.glob(whole, recursive=True) if Path(name).suffix.lower() in suffixes]
    if not found:
        raise FlowBenchError(f"{option}={pattern}: matches no file that ends in {', '.join(suffixes)}.")
    # As paths, without "." and double separators, which glob keeps in some places and drops in others.
    *folders, last = PurePath(whole).as_posix().split("/")
    own = "(.*)" if last == "**" else _expression(last)
    expression = re.compile("".join(map(_folder_expression, folders)) + own)
    in_folders = sum(len(_WILDCARDS.findall(part)) for part in folders)
    return sorted((_matched(name, expression, in_folders) for name in found), key=lambda file: natural_order(file.path))


def _matched(name: str, expression: re.Pattern[str], in_folders: int) -> MatchedFile:
    path = Path(name)
    found = expression.fullmatch(path.as_posix())
    if found is None:
        raise FlowBenchError(
            f"{path} was found, but not what the pattern's wildcards stand for in it: rename the file."
        )
    words = found.groups()
    own = list(words[in_folders:])
    if own and name.endswith(own[-1]):
        own[-1] = own[-1].removesuffix(path.suffix)
    return MatchedFile(path, tuple(word.strip("/") for word in words[:in_folders]), tuple(own))


def _folder_expression(part: str) -> str:
    return r"((?:[^/]+/)*)" if part == "**" else f"{_expression(part)}/"


def _expression(part: str) -> str:
    """A regular expression for one part of a path, with a group for each run of wildcards."""
    return "".join(
        f"({_wildcards_expression(piece)})" if number % 2 else re.escape(_LITERAL.sub(r"\1", piece))
        for number, piece in enumerate(_WILDCARDS.split(part))
    )


def _wildcards_expression(wildcards: str) -> str:
    return re.sub(r"\*|\?|\[!", lambda found: {"*": "[^/]*", "?": "[^/]", "[!": "[^"}[found[0]], wildcards)


def paired_files(
    firsts: Sequence[MatchedFile], seconds: Sequence[MatchedFile], *, first_option: str, second_option: str
) -> dict[MatchedFile, MatchedFile]:
    """Pairs of files: those whose wildcard text is the same, or else the last number in it.

    Some may be missing on either side, but not half of both.

    Args:
        firsts: files.
        seconds: files that belong to them.
        first_option: the first files' setting, for the message.
        second_option: the second files' setting.

    Raises FlowBenchError, with examples of both, where neither matches them, or the match is ambiguous.
    """
    for identity in (_as_written, _names_by_number, _by_number):
        first_of, second_of = (_grouped(files, identity) for files in (firsts, seconds))
        common = [key for key in first_of if key in second_of]
        if common and 2 * len(common) >= min(len(first_of), len(second_of)):
            for key in common:
                refuse_several(first_of[key], first_option)
                refuse_several(second_of[key], second_option)
            return {first_of[key][0]: second_of[key][0] for key in common}
    raise FlowBenchError(
        f"Neither names nor numbers tell which of {second_option} ({listed(seconds)}) belongs to which of {first_option} "
        f"({listed(firsts)}): rename them alike, or choose patterns whose wildcards stand for the same in both."
    )


def refuse_several(files: Sequence[MatchedFile], option: str) -> None:
    """Raises FlowBenchError for more than one that cannot be told apart."""
    if len(files) > 1:
        raise FlowBenchError(
            f"{option} has {files[0]} and {files[1]}, which count as one: a narrower pattern must choose one of them."
        )


def listed(files: Sequence[MatchedFile]) -> str:
    """The first few, and how many more."""
    more = len(files) - _MOST_LISTED
    return ", ".join(map(str, files[:_MOST_LISTED])) + (f" and {more} more" if more > 0 else "")


def _grouped(
    files: Iterable[MatchedFile], identity: Callable[[MatchedFile], Hashable]
) -> dict[Hashable, list[MatchedFile]]:
    found: dict[Hashable, list[MatchedFile]] = {}
    for file in files:
        found.setdefault(identity(file), []).append(file)
    return found


def _as_written(file: MatchedFile) -> Hashable:
    return file.folder_words, file.name_words


def _names_by_number(file: MatchedFile) -> Hashable:
    return file.folder_words, _last_numbers(file.name_words)


def _by_number(file: MatchedFile) -> Hashable:
    return _last_numbers(file.folder_words), _last_numbers(file.name_words)


def _last_numbers(words: Words) -> tuple[str | int, ...]:
    numbers = (_LAST_NUMBER.search(word) for word in words)
    return tuple(word if number is None else int(number[1]) for word, number in zip(words, numbers, strict=True))
