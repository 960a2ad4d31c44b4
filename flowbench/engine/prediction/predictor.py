"""Flow of the consecutive pairs of a stream of frames, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import torch

from flowbench.engine.prediction.warm_start import PairCost, costs_of
from flowbench.engine.run.devices import mixed_precision
from flowbench.errors import FlowBenchError
from flowbench.io import Frame
from flowbench.models.base import FlowModel
from flowbench.models.cascade import CascadeLike
from flowbench.models.sizes import Sizes
from flowbench.structures import FlowOutput


def frame_runs(frames: Iterable[Frame], pairs: int, gap: int = 1) -> Iterator[list[Frame]]:
    """Runs of frames, each of which makes a pair with the one that comes `gap` later; every pair is in one run.

    The list is emptied but for the frames of pairs to come before the next run is read, so that no more frames than one
    run's are ever held.

    Args:
        frames: one after the other.
        pairs: at most so many in a run.
        gap: from the first frame of a pair to its second.
    """
    stream = iter(frames)
    run = list(islice(stream, gap))
    while True:
        run.extend(islice(stream, pairs))
        if len(run) <= gap:
            return
        yield run
        del run[:-gap]


class PairPredictor:
    """A model that goes along a video.

    Args:
        model: What estimates the flow.
        precision: What it computes in, in Lightning's words.
        warm_start: Each pair starts from the one before.
        cascade: As `FlowModel.estimate` takes it.
        sizes: As `FlowModel.estimate` takes them: scale, max_side, tile and overlap.

    Attributes:
        costs: What each pair so far took, in order.
    """

    def __init__(
        self,
        model: FlowModel,
        *,
        precision: str | int = "32-true",
        warm_start: bool = False,
        cascade: CascadeLike = None,
        sizes: Sizes | None = None,
    ) -> None:
        self._model = model
        self._precision = precision
        self._cascade = cascade
        self._sizes = sizes or Sizes()
        self._warm_start = model.warm_started(**self._sizes) if warm_start else None
        self.costs: list[PairCost] = []

    @torch.inference_mode()
    def __call__(self, image1: np.ndarray, image2: np.ndarray, key: str = "") -> np.ndarray:
        """image1, image2: (B, H, W, 3) uint8 RGB -> flow (B, H, W, 2) float32 pixels.

        key: of the pair, which names its sequence: a warm start carries nothing over to another one.

        Raises FlowBenchError for pictures that are too small or exceed the memory, for flow that is not finite, and
        when a warm start is wanted of a model that has none.
        """
        started = time.perf_counter()
        output = self._solve(image1, image2, key)
        flow = output.flow.float()
        if not torch.isfinite(flow).all():
            raise FlowBenchError(
                f"{self._model.name} gave flow that is not finite: set precision=32-true, or check the weights."
            )
        array = flow.permute(0, 2, 3, 1).cpu().numpy()
        self.costs += costs_of(output.stats, len(array), time.perf_counter() - started)
        return array

    def _solve(self, image1: np.ndarray, image2: np.ndarray, key: str) -> FlowOutput:
        try:
            with mixed_precision(self._model.device, self._precision):
                if self._warm_start is None:
                    return self._model.estimate(image1, image2, cascade=self._cascade, **self._sizes)
                return self._warm_start.estimate(image1, image2, key)
        except torch.OutOfMemoryError as error:
            batch, height, width, _ = image1.shape
            raise FlowBenchError(
                f"{batch} pairs of {width}x{height} pixels do not fit in the memory of {self._model.device}: "
                "lower batch_size, set precision=bf16-mixed, tile=512 or scale=0.5, or keep no correlation volume: "
                "++model.network.correlation=on_demand."
            ) from error
