"""A panel of one sample: images, flow, ground truth, error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowbench.report.colour import (
    UNKNOWN_GREY,
    error_scale_image,
    error_to_image,
    flow_to_image,
    longest_flow,
    wheel_image,
)
from flowbench.report.drawing import BACKGROUND, CAPTION_HEIGHT, captioned, grid, scaled, stacked


def panel(
    image1: np.ndarray,
    image2: np.ndarray,
    estimate: np.ndarray,
    truth: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    *,
    title: str = "",
    max_flow: float | None = None,
    max_error: float | None = None,
    cell_width: int = 480,
    rows: int = 2,
) -> np.ndarray:
    """Both images, their mean, the flow and, with ground truth, that and the end-point error, captioned, uint8 RGB.

    Args:
        image1: (H, W, 3) uint8 RGB.
        image2: as image1.
        estimate: (H, W, 2) pixels.
        truth: the ground truth, as estimate.
        valid: (H, W) bool, where the ground truth is known, by default where it is finite; other pixels of ground truth
            and error are grey.
        title: a line on top.
        max_flow: the longest flow of the colour scale, pixels; by default that of the ground truth, or without it that of
            the estimate.
        max_error: the largest error of the colour scale, pixels; by default 99% of the valid pixels stay below it.
        rows: of cells.
        cell_width: width of each cell, pixels, to which small images are enlarged.

    Raises ValueError when the sizes differ.
    """
    _check_sizes(image1, image2=image2, estimate=estimate, truth=truth, valid=valid)
    known = _known(estimate if truth is None else truth, valid)
    if max_flow is None:
        max_flow = (0.0 if truth is None else longest_flow(truth, known)) or longest_flow(estimate)
    mean = ((image1.astype(np.uint16) + image2) // 2).astype(np.uint8)
    cells = [
        captioned(scaled(image, cell_width), name)
        for image, name in ((image1, "image 1"), (image2, "image 2"), (mean, "both images"))
    ]
    if truth is not None:
        cells.append(_truth_cell(truth, known, max_flow, cell_width))
    cells.append(_flow_cell(scaled(flow_to_image(estimate, max_flow=max_flow), cell_width), "estimate", max_flow))
    if truth is not None:
        cells.append(_error_cell(estimate, truth, known, max_error, cell_width))
    panel_image = grid(cells, rows)
    return captioned(panel_image, title) if title else panel_image


def stack_panels(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Panels below each other in one image, for instance one row (`rows=1`) per sample."""
    return stacked(panels)


def _check_sizes(image1: np.ndarray, **others: np.ndarray | None) -> None:
    for name, array in others.items():
        if array is not None and array.shape[:2] != image1.shape[:2]:
            raise ValueError(f"{name} has shape {array.shape}, image1 {image1.shape}: height and width must be equal.")


def _known(truth: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    finite = np.isfinite(truth).all(axis=-1)
    return finite if valid is None else finite & valid


def _truth_cell(truth: np.ndarray, known: np.ndarray, max_flow: float, width: int) -> np.ndarray:
    image = flow_to_image(truth, valid=known, max_flow=max_flow)
    image[~known] = UNKNOWN_GREY
    return _flow_cell(scaled(image, width, known), "ground truth", max_flow)


def _flow_cell(image: np.ndarray, name: str, max_flow: float) -> np.ndarray:
    wheel = wheel_image(CAPTION_HEIGHT - 2, background=BACKGROUND)
    return captioned(image, f"{name}, scale {max_flow:.1f} px", wheel)


def _error_cell(
    estimate: np.ndarray, truth: np.ndarray, known: np.ndarray, max_error: float | None, width: int
) -> np.ndarray:
    error = np.linalg.norm(np.where(known[..., None], estimate - truth, 0.0), axis=-1)
    measured = error[known]
    if max_error is None:
        finite = measured[np.isfinite(measured)]
        max_error = float(np.quantile(finite, 0.99)) if finite.size else 1.0
    image = scaled(error_to_image(error, max_error, valid=known), width, known)
    # An estimate that is not a number shows in the mean: it must not look like a good one.
    epe = f"EPE {measured.mean():.3f} px" if measured.size else "no valid pixel"
    scale = error_scale_image(width // 8, CAPTION_HEIGHT // 2)
    return captioned(image, f"{epe}, scale {max_error:.2f} px", scale)
