"""KITTI's 16-bit flow images (Menze and Geiger, CVPR 2015): (value - 2^15) / 64 pixels, third channel valid."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.decoding import read_pixels

_STEPS_PER_PIXEL = 64.0
_ZERO_FLOW = 2**15


def read_kitti_png(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Flow (H, W, 2) float32 pixels and valid (H, W) bool; where the flow is unknown the format decodes to -512.

    Raises FlowBenchError when the file is no whole PNG of three 16-bit channels.
    """
    stored = read_pixels(path, cv2.IMREAD_UNCHANGED)
    channels = stored.shape[2] if stored.ndim == 3 else 1
    if stored.dtype != np.uint16 or channels != 3:
        raise FlowBenchError(
            f"{path}: {channels} channels of {stored.dtype}; KITTI flow has 3 channels of uint16. "
            "Is it an image, or a flow stored in another way?"
        )
    # OpenCV gives the channels in reverse: valid, v, u.
    flow = (stored[..., :0:-1].astype(np.float32) - _ZERO_FLOW) / _STEPS_PER_PIXEL
    return flow, stored[..., 0] > 0


def write_kitti_png(path: Path, flow: np.ndarray, valid: np.ndarray) -> None:
    """Rounds to 1/64 pixel and stores invalid pixels as 0.

    Args:
        path: of the file.
        flow: (H, W, 2), pixels.
        valid: (H, W) bool.

    Raises ValueError where a valid value does not fit.
    """
    values = np.where(valid[..., None], np.rint(flow.astype(np.float64) * _STEPS_PER_PIXEL) + _ZERO_FLOW, 0.0)
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        largest = np.abs(flow[valid]).max()
        raise ValueError(
            f"KITTI's format holds flow from -512 to 511.98 px, and this one reaches {largest:.1f} px. "
            "Write .flo, .pfm or .npz instead."
        )
    stored = np.concatenate([valid[..., None], values[..., ::-1]], axis=-1).astype(np.uint16)
    path.write_bytes(cv2.imencode(".png", stored)[1].tobytes())
