"""One entry of the table of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A file of weights with its names.

    Args:
        names: under which it is found; the first is the fullest.
        model: the model in conf/model that the weights belong to.
        overrides: changes of that model's config without which the weights are not used as published, as in `flowbench.load`.
        file: its file name.
        shipped: whether the file is part of FlowBench.
        url: a direct link; None where there is none.
        page: where a browser finds the file, or whose it is in words.
        source: who publishes the file.
        sha256: of the file, all 64 digits or the first few; empty where it is not known.
        licence: of the file or its source; None where it is not known here.
        trained_on: the data, in words.
        figures: published or measured figures by name.
        untried: whether the link could not be tried where the table was written.
        megabytes: the size of the file where it is known without the file.
        facts: all of the entry as it is written.
    """

    names: tuple[str, ...]
    model: str
    file: str
    source: str
    trained_on: str
    shipped: bool = False
    overrides: tuple[str, ...] = ()
    url: str | None = None
    page: str | None = None
    sha256: str = ""
    licence: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    untried: bool = False
    megabytes: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.names[0]

    def __str__(self) -> str:
        return self.name
