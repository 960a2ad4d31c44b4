"""Flow files by their suffix: .flo, .pfm, .png (KITTI, 16 bit), .npz, .npy and .flo5 (Spring)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.io.flo import read_flo, write_flo
from flowbench.io.flo5 import read_flo5, write_flo5
from flowbench.io.flow_npy import read_flow_npy, write_flow_npy
from flowbench.io.flow_npz import read_flow_npz, write_flow_npz
from flowbench.io.kitti_png import read_kitti_png, write_kitti_png
from flowbench.io.pfm import read_pfm, write_pfm

SUFFIXES = (".flo", ".pfm", ".png", ".npz", ".npy", ".flo5")

# A dense file has no mask of its own: the field takes 1000 px and more for "unknown", and Middlebury writes 1e10 there.
DENSE_LIMIT = 1000.0
_UNKNOWN = 1e10
_UNKNOWN_LIMIT = 1e9


def read_flow(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Flow (H, W, 2) float32 in pixels, (u right, v down), and valid (H, W) bool: where it is known.

    Dense formats (.flo, .pfm, .npy, .flo5) are valid where |u| and |v| are below 1000 px; their unknown values (above
    1e9, or NaN) are returned as 0. KITTI's unknown pixels decode to -512. There may be no valid pixel. Spring's .flo5 is
    returned as stored, with twice the images' width and height.

    Raises FlowBenchError, naming the file, when it is missing, truncated, oversized, damaged or of another format than its
    suffix, and for .flo5 when h5py is not installed. Claimed sizes are checked before anything is allocated.
    """
    path = Path(path)
    match _suffix(path):
        case ".png":
            return read_kitti_png(path)
        case ".npz":
            return _checked(path, *read_flow_npz(path))
        case ".flo":
            return _with_mask(read_flo(path))
        case ".npy":
            return _with_mask(read_flow_npy(path))
        case ".flo5":
            return _with_mask(read_flo5(path))
        case _:
            return _with_mask(read_pfm(path))


def write_flow(path: str | Path, flow: np.ndarray, valid: np.ndarray | None = None) -> None:
    """Writes flow atomically in the format of the suffix.

    .png rounds to 1/64 px and stores invalid pixels as 0; .flo and .pfm store 1e10 there, .npy and .flo5 NaN; .npz keeps
    flow and mask as they are.

    Args:
        path: of the file.
        flow: (H, W, 2), pixels.
        valid: (H, W) bool; None for everywhere.

    Raises FlowBenchError, naming the file, for shapes that are no flow, valid values that are not finite or do not fit
    the format, an unknown suffix, or a file that cannot be written.
    """
    path = Path(path)
    suffix = _suffix(path)
    flow, valid = _checked(path, flow, valid)
    with written_aside(path) as aside:
        try:
            _write(aside, suffix, flow, valid)
        except ValueError as error:
            raise FlowBenchError(f"{path}: {error}") from error


def check_flow_shape(name: str, shape: tuple[int, ...]) -> None:
    """Raises FlowBenchError, whose subject is `name`, unless the shape is (height, width, 2) and not empty."""
    if len(shape) == 3 and shape[2] == 2 and 0 not in shape:
        return
    if len(shape) == 4 and 2 in (shape[1], shape[3]):
        hint = " Give one pair of the batch."
    elif len(shape) == 3 and shape[0] == 2:
        hint = " Give np.moveaxis(flow, 0, -1), or flow.permute(1, 2, 0) of a tensor."
    else:
        hint = ""
    raise FlowBenchError(f"{name} has shape {tuple(shape)}; (height, width, 2) is needed.{hint}")


def _write(path: Path, suffix: str, flow: np.ndarray, valid: np.ndarray) -> None:
    match suffix:
        case ".png":
            write_kitti_png(path, flow, valid)
        case ".npz":
            write_flow_npz(path, flow, valid)
        case ".flo":
            write_flo(path, _marked(flow, valid, _UNKNOWN))
        case ".npy":
            write_flow_npy(path, _marked(flow, valid, np.nan))
        case ".flo5":
            write_flo5(path, _marked(flow, valid, np.nan))
        case _:
            write_pfm(path, _marked(flow, valid, _UNKNOWN))


def _marked(flow: np.ndarray, valid: np.ndarray, unknown: float) -> np.ndarray:
    return np.where(valid[..., None], flow, np.float32(unknown))


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FlowBenchError(f"{path}: unknown suffix {path.suffix!r} for a flow file. Known: {', '.join(SUFFIXES)}.")
    return suffix


def _with_mask(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Not .all(axis=-1): over an axis of two it takes a hundred times as long.
    largest = np.maximum(np.abs(flow[..., 0]), np.abs(flow[..., 1]))
    known, valid = largest < _UNKNOWN_LIMIT, largest < DENSE_LIMIT
    return (flow if known.all() else np.where(known[..., None], flow, np.float32(0))), valid


def _checked(path: Path, flow: np.ndarray, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    flow = np.asarray(flow, dtype=np.float32)
    check_flow_shape(f"{path}: flow", flow.shape)
    valid = np.ones(flow.shape[:2], bool) if valid is None else np.asarray(valid, dtype=bool)
    if valid.shape != flow.shape[:2]:
        raise FlowBenchError(f"{path}: valid has shape {valid.shape}; {flow.shape[:2]} is needed, as the flow has.")
    lost = np.count_nonzero(~np.isfinite(flow[valid]).all(axis=-1))
    if lost:
        raise FlowBenchError(f"{path}: the flow is not finite at {lost} valid pixels. Mark them invalid or correct it.")
    return flow, valid
