"""Flow and error as colours.

Flow is coloured as in Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011: the hue tells
the direction, white is no motion, and the fullest colour is the largest motion of the scale.
"""

from __future__ import annotations

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.flow import check_flow_shape

# How many of the wheel's 55 colours lead from one hue to the next, which channel changes, and whether it rises.
_SEGMENTS = ((15, 1, True), (6, 0, False), (4, 2, True), (11, 1, False), (13, 0, True), (6, 2, False))
UNKNOWN_GREY = 128


def colour_wheel() -> np.ndarray:
    """The wheel's 55 colours, (55, 3) uint8 RGB: red, yellow, green, cyan, blue, magenta and back towards red."""
    colours, hue = [], np.array([255, 0, 0])
    for count, channel, rises in _SEGMENTS:
        ramp = 255 * np.arange(count) // count
        segment = np.tile(hue, (count, 1))
        segment[:, channel] = ramp if rises else 255 - ramp
        colours.append(segment)
        hue[channel] = 255 if rises else 0
    return np.concatenate(colours).astype(np.uint8)


def flow_to_image(flow: np.ndarray, *, valid: np.ndarray | None = None, max_flow: float | None = None) -> np.ndarray:
    """Flow as colours, (H, W, 3) uint8 RGB.

    Args:
        flow: (H, W, 2), pixels.
        valid: (H, W) bool; other pixels, and those that are not finite, are black.
        max_flow: the length of the most saturated colour, pixels; longer flow is darkened. By default the longest of this
            flow; images to compare need a common one.

    Raises FlowBenchError for other shapes, a network's (2, H, W) among them, and for a max_flow below 0.
    """
    flow = np.asarray(flow, dtype=np.float64)
    check_flow_shape("flow", flow.shape)
    if valid is not None and np.shape(valid) != flow.shape[:2]:
        raise FlowBenchError(f"valid has shape {np.shape(valid)}; {flow.shape[:2]} is needed, as the flow has.")
    if max_flow is not None and not max_flow >= 0:
        raise FlowBenchError(f"max_flow={max_flow}: a length in pixels is needed, or None for the longest of the flow.")
    drawn = np.isfinite(flow).all(axis=-1)
    if valid is not None:
        drawn &= valid
    flow = np.where(drawn[..., None], flow, 0.0)
    longest = longest_flow(flow) if max_flow is None else float(max_flow)
    image = _colour(flow / (longest + 1e-5))
    image[~drawn] = 0
    return image


def longest_flow(flow: np.ndarray, valid: np.ndarray | None = None) -> float:
    """The length in pixels of the longest finite vector of flow (H, W, 2) where valid (H, W); 0 where there is none."""
    length = np.linalg.norm(np.asarray(flow, dtype=np.float64), axis=-1)
    known = np.isfinite(length) if valid is None else np.isfinite(length) & valid
    return float(length[known].max(initial=0.0))


def _colour(flow: np.ndarray) -> np.ndarray:
    wheel = colour_wheel() / 255.0
    radius = np.linalg.norm(flow, axis=-1, keepdims=True)
    angle = np.arctan2(-flow[..., 1], -flow[..., 0]) / np.pi
    position = (angle + 1) / 2 * (len(wheel) - 1)
    below = np.floor(position).astype(np.int64)
    share = (position - below)[..., None]
    colour = (1 - share) * wheel[below] + share * wheel[(below + 1) % len(wheel)]
    colour = np.where(radius <= 1, 1 - radius * (1 - colour), 0.75 * colour)
    return np.floor(255 * colour).astype(np.uint8)


def error_to_image(error: np.ndarray, max_error: float, *, valid: np.ndarray | None = None) -> np.ndarray:
    """An error map as colours, (H, W, 3) uint8 RGB: from black over red to light yellow.

    Args:
        error: (H, W), pixels.
        max_error: the error of the last colour, pixels.
        valid: (H, W) bool; other pixels, and those that are not finite, are grey, a colour that the scale lacks.
    """
    drawn = np.isfinite(error) if valid is None else np.isfinite(error) & valid
    share = np.clip(np.where(drawn, error, 0.0) / max(float(max_error), 1e-9), 0.0, 1.0)
    image = _inferno(np.rint(255 * share).astype(np.uint8))
    image[~drawn] = UNKNOWN_GREY
    return image


def error_scale_image(width: int, height: int) -> np.ndarray:
    """The colours of `error_to_image` from no error (left) to the largest (right), (height, width, 3) uint8 RGB."""
    levels = np.linspace(0, 255, width).round().astype(np.uint8)
    return _inferno(np.tile(levels, (height, 1)))


def wheel_image(size: int, background: int = 255) -> np.ndarray:
    """A legend: each direction and length of flow drawn where it points to, (size, size, 3) uint8 RGB.

    The rim has the fullest colours, the scale's largest flow. background: the grey level around the disc.
    """
    axis = np.linspace(-1, 1, size)
    flow = np.stack(np.meshgrid(axis, axis), axis=-1)
    image = flow_to_image(flow, max_flow=1.0)
    image[np.linalg.norm(flow, axis=-1) > 1] = background
    return image


def _inferno(levels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
