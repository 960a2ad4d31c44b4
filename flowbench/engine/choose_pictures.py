"""Photographs and cut-outs for the built-in scenes, chosen among all pictures below a folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from omegaconf import DictConfig
from rich.console import Console

from flowbench.data.scenes.choosing import Kind, kind_of, looks_like, sketch
from flowbench.data.scenes.pictures import read_shrunk
from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.io.records import write_csv

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_FILES = {Kind.PHOTOGRAPH: ".jpg", Kind.CUTOUT: ".png"}
_SIDES = {Kind.PHOTOGRAPH: 960, Kind.CUTOUT: 384}


def choose_pictures(config: DictConfig) -> Counter[Kind]:
    """Writes what can be used of config.folder to config.to: photographs/, cutouts/, and sources.csv, which says where
    each came from.

    Raises FlowBenchError where the folder is missing or holds nothing of use, and where config.to is there already.
    """
    for name in ("folder", "to"):
        if config[name] is None:
            raise FlowBenchError(f"No {name} was named: add {name}=<folder>.")
    folder, to = Path(config.folder).expanduser(), Path(config.to).expanduser()
    if not folder.is_dir():
        raise FlowBenchError(f"folder={config.folder} is no folder: give the one below which the pictures lie.")
    if to.exists():
        raise FlowBenchError(f"to={config.to} is there already: give a new folder, or delete that one first.")
    for kind in Kind:
        (to / kind.value).mkdir(parents=True)
    counts: Counter[Kind] = Counter()
    rows = []
    for path, kind, picture in _chosen(folder, re.compile(config.skip, re.IGNORECASE)):
        name = f"{kind.value}/{counts[kind]:04d}{_FILES[kind]}"
        _write(to / name, picture)
        rows.append({"file": name, "source": str(path.relative_to(folder))})
        counts[kind] += 1
    if not rows:
        raise FlowBenchError(f"Nothing below {folder} can be used: photographs of at least 256 pixels were looked for.")
    write_csv(to / "sources.csv", rows)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{counts[Kind.PHOTOGRAPH]} photographs, {counts[Kind.CUTOUT]} cut-outs. To train on them:")
    console.print(f"data/scenes=rich data.textures='{to}/photographs/*' data.cutouts='{to}/cutouts/*'", markup=False)
    return counts


def _chosen(folder: Path, skipped: re.Pattern[str]) -> Iterator[tuple[Path, Kind, np.ndarray]]:
    """Pictures that are of use, in the order of their paths, near copies left out; RGB or RGBA."""
    sketches: list[np.ndarray] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES or path.is_symlink() or skipped.search(str(path.relative_to(folder))):
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
