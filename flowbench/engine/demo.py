"""The demo: a few minutes of training on the built-in scenes, evaluation on unseen ones, prediction on film frames."""

from __future__ import annotations

import json
import subprocess
import sys
import time
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
    """epe, zero_epe: pixels, over the unseen scenes. images: the report and the flow of the frames."""

    epe: float
    zero_epe: float
    training_seconds: float
    images: list[Path]

    @property
    def ratio(self) -> float:
        return self.epe / self.zero_epe


@dataclass(frozen=True, kw_only=True)
class DemoSettings(Settings):
    """What `demo` takes; conf/demo.yaml has the same names."""

    experiment: str = "demo"
    """What is trained, of conf/experiment."""
    predict: DictConfig | None = None
    """Folders of frames to show flow for, below the project's own, by the name of what is written."""


def demo(settings: DemoSettings, run: Run) -> DemoResult:
    """Runs the same programs that a user runs, one after the other, and ends with `demo: epe A zero-flow B ratio C`."""
    folder = run.folder
    console = Console(highlight=False, soft_wrap=True)
    checkpoint, seconds = _train(settings, folder, console)
    _run(console, "evaluate.py", folder / "evaluation", f"ckpt={checkpoint}")
    images = [folder / "evaluation" / "report.html", *sorted((folder / "evaluation" / "pictures").glob("*.png"))]
    for name, given in (settings.predict or {}).items():
        _run(console, "predict.py", folder / str(name), f"ckpt={checkpoint}", f"input={_ROOT / str(given)}")
        images += sorted((folder / str(name) / "pictures").glob("*.png"))
    metrics = json.loads((folder / "evaluation" / "metrics.json").read_text())["metrics"]
    result = DemoResult(metrics["epe"], metrics["zero_epe"], seconds, images)
    _print(result, console)
    return result


def _train(settings: DemoSettings, folder: Path, console: Console) -> tuple[Path, float]:
    """The best checkpoint, and how many seconds it took."""
    started = time.monotonic()
    _run(console, "train.py", folder / "training", f"experiment={settings.experiment}")
    return folder / "training" / BEST, time.monotonic() - started


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
    table.add_row(
        f"the shipped weights after {result.training_seconds / 60:.1f} minutes of training", f"{result.epe:.3f}"
    )
    console.print(table)
    for path in result.images:
        console.print(path)
    console.print(f"demo: epe {result.epe:.3f} zero-flow {result.zero_epe:.3f} ratio {result.ratio:.3f}")
