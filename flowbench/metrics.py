"""Error metrics of optical flow.

epe: end-point error (px), pooled over all valid pixels. epe_per_image: mean of the images' own means. 1px, 3px, 5px: % of
valid pixels whose error is above the threshold. fl_all: % of valid pixels off by more than 3 px and more than 5% of the true
length. epe_matched, epe_unmatched: epe where the point is visible in the second image, and where it is not. s0-10, s10-40,
s40+: epe by the true length in px. zero_epe: epe of predicting no motion, for comparison.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from flowbench.structures import FlowBatch

THRESHOLDS = {"1px": 1.0, "3px": 3.0, "5px": 5.0}
LENGTH_BANDS = {"s0-10": (0.0, 10.0), "s10-40": (10.0, 40.0), "s40+": (40.0, float("inf"))}


def sample_sums(flow: Tensor, batch: FlowBatch) -> dict[str, tuple[Tensor, Tensor]]:
    """name -> (sum, count), each (B,) float64, of every metric that is averaged over pixels.

    The caller divides, so that pooling over samples stays exact.

    Args:
        flow: (B, 2, H, W), the estimate, pixels.
        batch: the ground truth.
    """
    truth = batch.flow.double()
    error = (flow.double() - truth).square().sum(dim=1).sqrt()
    length = truth.square().sum(dim=1).sqrt()
    valid = batch.valid
    sums = {"epe": _sums(error, valid), "zero_epe": _sums(length, valid)}
    for name, threshold in THRESHOLDS.items():
        sums[name] = _sums(100.0 * _above(error, threshold), valid)
    sums["fl_all"] = _sums(100.0 * (_above(error, 3.0) & _above(error, 0.05 * length)), valid)
    if batch.occluded is not None:
        sums["epe_matched"] = _sums(error, valid & ~batch.occluded)
        sums["epe_unmatched"] = _sums(error, valid & batch.occluded)
    for name, (low, high) in LENGTH_BANDS.items():
        sums[name] = _sums(error, valid & (length >= low) & (length < high))
    return sums


def _above(error: Tensor, threshold: float | Tensor) -> Tensor:
    """Whether the error is above the threshold; NaN is above every threshold, so that it never looks like a good estimate."""
    return ~(error <= threshold)


def _sums(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    # torch.where rather than a product: an invalid pixel may hold an infinite or undefined ground truth.
    return torch.where(mask, values, 0.0).double().sum(dim=(1, 2)), mask.sum(dim=(1, 2)).double()


class FlowMetrics(Metric):
    """All metrics over a data set, exact over unequal batches and several processes."""

    full_state_update = False
    higher_is_better = False

    _POOLED = ("epe", "zero_epe", *THRESHOLDS, "fl_all", "epe_matched", "epe_unmatched", *LENGTH_BANDS)

    NAMES = (*_POOLED, "epe_per_image")

    totals: Tensor
    counts: Tensor
    image_means: Tensor

    def __init__(self) -> None:
        super().__init__()
        zeros = torch.zeros(len(self._POOLED), dtype=torch.float64)
        self.add_state("totals", zeros.clone(), dist_reduce_fx="sum")
        self.add_state("counts", zeros.clone(), dist_reduce_fx="sum")
        self.add_state("image_means", torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, sums: dict[str, tuple[Tensor, Tensor]]) -> None:
        """Adds the result of `sample_sums`, of any number of samples."""
        for index, name in enumerate(self._POOLED):
            if name in sums:
                total, count = sums[name]
                self.totals[index] += total.sum()
                self.counts[index] += count.sum()
        total, count = sums["epe"]
        known = count > 0
        self.image_means += torch.stack([(total[known] / count[known]).sum(), known.sum()])

    def compute(self) -> dict[str, float]:
        """name -> value; a metric without a single pixel is left out rather than NaN."""
        pairs = dict(zip(self._POOLED, zip(self.totals.tolist(), self.counts.tolist())))
        metrics = {name: total / count for name, (total, count) in pairs.items() if count > 0}
        total, count = self.image_means.tolist()
        if count > 0:
            metrics["epe_per_image"] = total / count
        return metrics
