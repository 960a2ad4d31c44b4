"""Pictures for the built-in scenes to be made of."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from flowbench.data.scenes.textures import draw_texture


def write_pictures(folder: Path) -> dict[str, str]:
    """Writes four photographs and three cut-outs; returns their globs, as the settings textures and cutouts."""
    for kind in ("photographs", "cutouts"):
        (folder / kind).mkdir(parents=True)
    for index, size in enumerate(((480, 640), (300, 200), (96, 96), (900, 700))):
        _write(folder / f"photographs/{index}.png", draw_texture(np.random.default_rng(index), size, 1.0))
    outlines = (_ring, _comb, _soft_disc)
    for index, outline in enumerate(outlines):
        colours = draw_texture(np.random.default_rng(10 + index), (240, 300), 1.0)
        _write(folder / f"cutouts/{index}.png", np.dstack([colours, outline()]))
    return {"textures": str(folder / "photographs/*.png"), "cutouts": str(folder / "cutouts/*.png")}


def _ring() -> np.ndarray:
    alpha = np.zeros((240, 300), np.uint8)
    return cv2.ellipse(alpha, (150, 120), (110, 80), 0, 0, 360, 255, 30, cv2.LINE_AA)


def _comb() -> np.ndarray:
    alpha = np.zeros((240, 300), np.uint8)
    alpha[20:60, 20:280] = 255
    for column in range(25, 280, 24):
        alpha[60:220, column : column + 8] = 255
    return alpha


def _soft_disc() -> np.ndarray:
    y, x = np.mgrid[:240, :300]
    return np.clip(127 + 3 * (90 - np.hypot(x - 150, y - 120)), 0, 255).astype(np.uint8)


def _write(path: Path, picture: np.ndarray) -> None:
    order = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    assert cv2.imwrite(str(path), cv2.cvtColor(picture, order))
