"""The plug-in of docs/adding_a_model.md and docs/adding_a_data_set.md."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.runs import ROOT

MODEL_PAGE = ROOT / "docs" / "adding_a_model.md"
DATA_PAGE = ROOT / "docs" / "adding_a_data_set.md"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


@contextmanager
def write_plugin(folder: Path, package: str = "mymodels") -> Iterator[Path]:
    """The pages' package in a folder; behind the block, this process has not imported it."""
    files = {
        "__init__.py": "",
        "tiny.py": blocks(MODEL_PAGE, "python")[0],
        "squares.py": blocks(DATA_PAGE, "python")[0],
        "filmed.py": blocks(DATA_PAGE, "python")[1],
        "conf/model/tiny.yaml": blocks(MODEL_PAGE, "yaml")[0],
        "conf/model/tiny_wide.yaml": blocks(MODEL_PAGE, "yaml")[1],
        "conf/data/squares.yaml": blocks(DATA_PAGE, "yaml")[0],
        "conf/schedule/squares.yaml": blocks(DATA_PAGE, "yaml")[1],
    }
    for name, text in files.items():
        file = folder / package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("mymodels", package))
    path = list(sys.path)
    try:
        yield folder / package
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            del sys.modules[name]
