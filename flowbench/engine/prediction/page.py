"""The page that a prediction ends with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flowbench.engine.prediction.motion import MotionTable
from flowbench.engine.prediction.settings import PredictSettings
from flowbench.engine.prediction.writers import flow_scale
from flowbench.engine.run import Run
from flowbench.io import Frame
from flowbench.models.base import FlowModel
from flowbench.programs import typed
from flowbench.report.flow_page import FlowPage, FlowStrip, write_flow_page

_SHOWN = ("scale", "max_side", "tile", "overlap", "cascade", "every", "gap", "precision")
_SLOWEST, _FASTEST = 2.0, 30.0


class PredictionPage:
    """Collects pairs for <path>, index.html.

    Attributes:
        path: Of the file.
    """

    def __init__(self, path: Path, max_flow: float | None) -> None:
        """max_flow: pixels of the fullest colour; None for a `SteadyScale`."""
        self.path = path
        self._strip = FlowStrip()
        self._scale = flow_scale(max_flow)

    def __call__(self, frame: Frame, flow: np.ndarray, occluded: np.ndarray | None) -> None:
        self._strip(frame.name, frame.image, flow, self._scale)

    def write(self, title: str, motion: MotionTable, made: Mapping[str, Any], fps: float, video: Path | None) -> None:
        """Writes the file.

        Args:
            title: of the page.
            motion: the numbers of all pairs.
            made: how the flow was made.
            fps: of the input, at which the page plays unless too slow or too fast to follow.
            video: beside the page.
        """
        page = FlowPage(
            title=title,
            strip=self._strip,
            rows=motion.rows,
            settings=made,
            threshold=motion.threshold,
            fps=min(max(fps, _SLOWEST), _FASTEST),
            video=None if video is None else video.name,
        )
        write_flow_page(self.path, page)


def prediction_page(settings: PredictSettings, folder: Path) -> PredictionPage | None:
    """The page that fills <folder>/index.html, where one is wanted."""
    # A submission may have thousands of pairs, which nobody looks at one by one.
    wanted = not settings.submission if settings.page == "auto" else settings.page
    return PredictionPage(folder / "index.html", settings.max_flow) if wanted else None


def how_it_was_made(settings: PredictSettings, model: FlowModel, weights: str, run: Run) -> dict[str, Any]:
    """The model, its weights, the settings that differ from their defaults, and the command."""
    changed = {name: getattr(settings, name) for name in _SHOWN}
    defaults = {name: getattr(PredictSettings, name) for name in _SHOWN}
    return {
        "model": model.name,
        "weights": weights,
        **({} if model.iterations is None else {"iterations": model.iterations}),
        **{name: value for name, value in changed.items() if value != defaults[name]},
        **({"warm start": "true"} if settings.warm_start else {}),
        **({"command": f"{typed('predict')} {shlex.join(run.command[1:])}"} if run.command else {}),
    }
