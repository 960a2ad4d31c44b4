"""Flow of the consecutive pairs of a stream of frames, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch

from flowbench.engine.devices import mixed_precision
from flowbench.errors import FlowBenchError
from flowbench.io import Frame
from flowbench.models.base import FlowModel


def frame_runs(frames: Iterable[Frame], pairs: int) -> Iterator[list[Frame]]:
    """Runs of at most `pairs` + 1 frames, each from the last frame of the run before; fewer than two frames give none.

    The list is emptied before the next run is read, so that no more frames than one run's are ever held.
    """
    stream = iter(frames)
    run = list(islice(stream, 1))
    while True:
        run.extend(islice(stream, pairs))
        if len(run) < 2:
            return
        yield run
        del run[:-1]


class PairPredictor:
    """A model that goes along a video, where asked from each pair's flow to the next (warm start)."""

    def __init__(self, model: FlowModel, *, precision: str | int = 32, warm_start: bool = False):
        self._model = model
        self._precision = precision
        self._warm_start = warm_start
        self._reuse: Any = None

    @torch.inference_mode()
    def __call__(self, image1: np.ndarray, image2: np.ndarray) -> np.ndarray:
        """image1, image2: (B, H, W, 3) uint8 RGB -> flow (B, H, W, 2) float32 pixels.

        Raises FlowBenchError for pictures that are too small or exceed the memory, for flow that is not finite, and
        when a warm start is wanted of a model that has none.
        """
        try:
            with mixed_precision(self._model.device, self._precision):
                output = self._model.estimate(image1, image2, self._reuse)
        except torch.OutOfMemoryError as error:
            batch, height, width, _ = image1.shape
            raise FlowBenchError(
                f"{batch} pairs of {width}x{height} pixels do not fit in the memory of {self._model.device}: "
                "lower batch_size, set precision=bf16, or keep no correlation volume: "
                "++model.network.correlation=on_demand."
            ) from error
        if self._warm_start:
            self._reuse = self._reusable(output.reuse)
        flow = output.flow.float()
        if not torch.isfinite(flow).all():
            raise FlowBenchError(
                f"{self._model.name} gave flow that is not finite: set precision=32, or check the weights."
            )
        return flow.permute(0, 2, 3, 1).cpu().numpy()

    def _reusable(self, reuse: Any) -> Any:
        if reuse is None:
            raise FlowBenchError(f"{self._model.name} cannot start from the previous pair: leave warm_start out.")
        return reuse
