"""Photographs and cut-outs for the built-in scenes, chosen among all pictures below a folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from flowbench.data.scenes.choosing import Kind, kind_of, looks_like, sketch
from flowbench.data.scenes.images import read_shrunk
from flowbench.engine.run import Run
from flowbench.engine.run.settings import Settings
from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.io.records import write_csv

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_FILES = {Kind.PHOTOGRAPH: ".jpg", Kind.CUTOUT: ".png"}
_SIDES = {Kind.PHOTOGRAPH: 960, Kind.CUTOUT: 384}


@dataclass(frozen=True, kw_only=True)
class ChoosePicturesSettings(Settings):
    """What `choose_pictures` takes; conf/choose_pictures.yaml has the same names and defaults."""

    folder: str | Path | None = None
    """Images are looked for below it; it has to be given."""
    to: str | Path | None = None
    """The folder that is made of them; it has to be given."""
    skip: str = ""
    """No path in which this regular expression is found, in whichever case; none is left out where it is empty."""

    def check(self) -> None:
        for name in ("folder", "to"):
            if getattr(self, name) is None:
                raise FlowBenchError(f"No {name} was named: add {name}=<folder>.")


def choose_pictures(settings: ChoosePicturesSettings, run: Run) -> Counter[Kind]:
    """Writes what can be used of settings.folder to settings.to: photographs/, cutouts/, and sources.csv, which says where
    each came from.

    Raises FlowBenchError where the folder is missing or holds nothing of use, and where settings.to is there already.
    """
    folder, to = (Path(str(path)).expanduser() for path in (settings.folder, settings.to))
    if not folder.is_dir():
        raise FlowBenchError(f"folder={settings.folder} is no folder: give the one that contains the pictures.")
    if to.exists():
        raise FlowBenchError(f"to={settings.to} is there already: give a new folder, or delete that one first.")
    for kind in Kind:
        (to / kind.value).mkdir(parents=True)
    counts: Counter[Kind] = Counter()
    rows = []
    skipped = re.compile(settings.skip, re.IGNORECASE) if settings.skip else None
    for path, kind, picture in _chosen(folder, skipped):
        name = f"{kind.value}/{counts[kind]:04d}{_FILES[kind]}"
        _write(to / name, picture)
        rows.append({"file": name, "source": str(path.relative_to(folder))})
        counts[kind] += 1
    if not rows:
        raise FlowBenchError(f"Nothing below {folder} can be used: photographs of at least 256 pixels were looked for.")
    write_csv(to / "sources.csv", rows)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{counts[Kind.PHOTOGRAPH]} photographs, {counts[Kind.CUTOUT]} cut-outs. To train on them:")
    settings_of_kinds = {"data.textures": Kind.PHOTOGRAPH, "data.cutouts": Kind.CUTOUT}
    words = [f"{name}='{to}/{kind.value}/*'" for name, kind in settings_of_kinds.items() if counts[kind]]
    console.print(" ".join(["data/scenes=rich", *words]), markup=False)
    return counts


def _chosen(folder: Path, skipped: re.Pattern[str] | None) -> Iterator[tuple[Path, Kind, np.ndarray]]:
    """Pictures that are of use, in the order of their paths, near copies left out; RGB or RGBA."""

    def _is_skipped(path: Path) -> bool:
        return skipped is not None and skipped.search(str(path.relative_to(folder))) is not None

    sketches: list[np.ndarray] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES or path.is_symlink() or _is_skipped(path):
            continue
        picture = read_shrunk(str(path), max(_SIDES.values()), cv2.IMREAD_UNCHANGED)
        if picture is None:
            continue
        kind = kind_of(picture)
        if kind is None or any(looks_like(sketch(picture), other) for other in sketches):
            continue
        sketches.append(sketch(picture))
        yield path, kind, _as_kept(picture, kind)


def _as_kept(picture: np.ndarray, kind: Kind) -> np.ndarray:
    if kind is Kind.PHOTOGRAPH:
        return np.ascontiguousarray(picture[..., :3])
    scale = min(1.0, _SIDES[kind] / max(picture.shape[:2]))
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _write(path: Path, picture: np.ndarray) -> None:
    order = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    with written_aside(path) as aside:
        aside.write_bytes(cv2.imencode(path.suffix, cv2.cvtColor(picture, order))[1].tobytes())
