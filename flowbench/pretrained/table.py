"""The table of weights: the cards of the shipped files and the list of published ones, both in weights/."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from flowbench.pretrained.entries import Weights

PUBLISHED = "published.yaml"
# How torchvision and ptlflow name files: the first digits of the sha256 end the name.
_DIGITS = re.compile(r"-([0-9a-f]{8})\.\w+$")


def weights_folder() -> Path:
    """weights/ beside the package in a checkout, inside the package where it was installed."""
    in_checkout = Path(__file__).resolve().parents[2] / "weights"
    return in_checkout if (in_checkout / PUBLISHED).is_file() else Path(str(resources.files("flowbench"))) / "weights"


@cache
def all_weights() -> tuple[Weights, ...]:
    """Every entry, the shipped ones first."""
    folder = weights_folder()
    cards = sorted(path for path in folder.glob("*.yaml") if path.name != PUBLISHED)
    return (*(shipped_entry(_read(card)) for card in cards), *_published(_read(folder / PUBLISHED)))


def shipped_entry(card: Mapping[str, Any]) -> Weights:
    """The entry of a card's content."""
    return Weights(
        names=tuple(card["names"]),
        model=card["model"],
        file=card["file"],
        source="FlowBench",
        trained_on=card["trained_on"],
        shipped=True,
        sha256=card["sha256"],
        licence=card["licence"],
        figures=card.get("measured") or {},
        facts=card,
    )


def _published(table: Mapping[str, Any]) -> Iterator[Weights]:
    for row in table["weights"]:
        source = table["sources"][row["source"]]
        found = _DIGITS.search(row["file"])
        folder_url = source.get("url")
        yield Weights(
            names=tuple(row["names"]),
            model=row["model"],
            overrides=tuple(row.get("overrides", ())),
            file=row["file"],
            source=source["title"],
            url=f"{folder_url}{row['file']}" if folder_url else None,
            page=source.get("page"),
            sha256=found[1] if found and folder_url else "",
            licence=source.get("licence"),
            trained_on=row["trained_on"],
            figures=row.get("figures") or {},
            untried=source.get("untried", False),
            megabytes=row.get("megabytes"),
            facts=row,
        )


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content
