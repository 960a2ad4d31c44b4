"""The demo: film frames with the shipped weights, two minutes of training on built-in scenes, evaluation on unseen ones."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from flowbench.engine.run import Run
from flowbench.engine.run.folder import BEST
from flowbench.engine.run.settings import Settings
from flowbench.errors import FlowBenchError

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class DemoResult:
    """epe, shipped_epe, zero_epe: pixels, over the unseen scenes. pages: what to open in a browser."""

    epe: float
    shipped_epe: float
    zero_epe: float
    training_seconds: float
    pages: list[Path]

    @property
    def ratio(self) -> float:
        return self.epe / self.zero_epe


@dataclass(frozen=True, kw_only=True)
class DemoSettings(Settings):
    """What `demo` takes; conf/demo.yaml has the same names."""

    experiment: str = "demo"
    """What is trained, of conf/experiment."""
    train: Sequence[str] = ()
    """More words for train.py."""
    predict: DictConfig | None = None
    """Folders of frames to show flow for, below the project's own, by the name of what is written."""
    shipped: Sequence[str] = (
        "ckpt=fastflownet",
        "data=synthetic",
        "data.counts.test=100",
        "data.scenes.size=[192,256]",
    )
    """Words for evaluate.py: the weights that training starts from, on the experiment's unseen scenes."""


def demo(settings: DemoSettings, run: Run) -> DemoResult:
    """Runs the same programs that a user runs, one after the other, and ends with `demo: epe A zero-flow B ratio C`."""
    folder = run.folder
    console = Console(highlight=False, soft_wrap=True)
    pages = []
    for name, frames in (settings.predict or {}).items():
        _run(console, "predict.py", folder / str(name), str(_ROOT / str(frames)))
        pages.append(folder / str(name) / "index.html")
    shipped = _evaluate(console, folder / "shipped", *settings.shipped)
    started = time.monotonic()
    _run(console, "train.py", folder / "training", f"experiment={settings.experiment}", *settings.train)
    seconds = time.monotonic() - started
    trained = _evaluate(console, folder / "evaluation", f"ckpt={folder / 'training' / BEST}")
    pages.append(folder / "evaluation" / "report.html")
    result = DemoResult(trained["epe"], shipped["epe"], trained["zero_epe"], seconds, pages)
    _print(result, console)
    return result


def _evaluate(console: Console, folder: Path, *words: str) -> dict[str, float]:
    """The metrics."""
    _run(console, "evaluate.py", folder, *words)
    return dict(json.loads((folder / "metrics.json").read_text())["metrics"])


def _run(console: Console, program: str, folder: Path, *words: str) -> None:
    console.print(f"\n[bold]python {program} {' '.join(words)}[/]".replace(f"{_ROOT}/", ""))
    command = [sys.executable, str(_ROOT / program), *words, f"hydra.run.dir={folder}"]
    if subprocess.run(command, cwd=_ROOT, check=False).returncode:
        raise FlowBenchError(f"{program} failed; its message stands above.")


def _print(result: DemoResult, console: Console) -> None:
    table = Table(title="unseen scenes", title_justify="left")
    for heading in ("", "EPE (px) ↓"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("predicting no motion", f"{result.zero_epe:.3f}")
    table.add_row("the shipped weights", f"{result.shipped_epe:.3f}")
    table.add_row(f"after {result.training_seconds / 60:.1f} minutes of training", f"{result.epe:.3f}")
    console.print(table)
    console.print("Open in a browser:")
    for page in result.pages:
        console.print(page)
    console.print(f"demo: epe {result.epe:.3f} zero-flow {result.zero_epe:.3f} ratio {result.ratio:.3f}")
