"""The file of weights that a name or a path stands for."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from flowbench.errors import FlowBenchError
from flowbench.pretrained.cache import local_file
from flowbench.pretrained.entries import Weights
from flowbench.pretrained.table import all_weights

DEFAULT = "fastflownet"
"""The model whose shipped weights are used where none are named."""

_LISTED_BY = "`flowbench list weights` lists all"


@dataclass(frozen=True)
class Located:
    """A file of weights. entry: what the table says of it, where it was found by its name."""

    path: Path
    entry: Weights | None = None


def weights_named(name: str) -> Weights | None:
    """The entry of this name; None where there is none."""
    return next((entry for entry in all_weights() if name in entry.names), None)


def shipped_weights(model: str) -> Weights:
    """The weights of this model that are part of FlowBench. Raises FlowBenchError where it has none."""
    found = next((entry for entry in all_weights() if entry.shipped and entry.model == model), None)
    if found is None:
        raise FlowBenchError(f"FlowBench ships no weights of {model}: {_others_of(model)}.")
    return found


def locate(checkpoint: str | Path | Weights) -> Located:
    """The file of an entry, or that a path or a name of weights stands for; published weights are downloaded once.

    A text without a folder in front may be either. Where it is both, nothing is guessed: ./<name> is the file.
    Raises FlowBenchError for what is neither, and where the file cannot be had.
    """
    if isinstance(checkpoint, Weights):
        return Located(local_file(checkpoint), checkpoint)
    path, text = Path(checkpoint), str(checkpoint)
    entry = weights_named(text) if isinstance(checkpoint, str) else None
    if entry is None:
        if not path.is_file():
            raise FlowBenchError(_unknown(text))
        return Located(path)
    if path.is_file():
        raise FlowBenchError(
            f"'{text}' is a file in this folder and the name of weights from {entry.source}: write ./{text} for the file, or "
            "rename it to use the weights."
        )
    return Located(local_file(entry), entry)


def _unknown(text: str) -> str:
    missing = f"There is no checkpoint file '{text}'"
    known = [name for entry in all_weights() for name in entry.names]
    if Path(text).name != text:
        return f"{missing}: check the path."
    if (stem := Path(text).stem) in known and stem != text:
        return f"{missing}: check the path, or write {stem} for the weights of that name."
    if Path(text).suffix:
        return f"{missing}: check the path."
    if any(entry.model == text for entry in all_weights()):
        return f"{missing}, and FlowBench ships no weights of {text}: {_others_of(text)}."
    near = difflib.get_close_matches(text, known, n=3)
    hint = f"did you mean {' or '.join(near)}? {_LISTED_BY}" if near else _LISTED_BY
    return f"{missing}, and no weights have this name: {hint}."


def _others_of(model: str) -> str:
    # The short names: an entry of which another has the short name is one of several sources of the same.
    names = [entry.names[-1] for entry in all_weights() if entry.model == model and len(entry.names) > 1]
    return f"published ones are {', '.join(names)}; {_LISTED_BY}" if names else f"give a file; {_LISTED_BY}"
