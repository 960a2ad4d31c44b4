"""Motion of a point from image1 to image2."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

# Fixed-point steps of `Motion.inverse`; see its class for the error that remains.
INVERSE_STEPS = 6


@dataclass(frozen=True)
class Wave:
    """One sinusoid of a smooth deformation: amplitude * sin(wavevector . point + phase).

    Args:
        amplitude: (x, y) pixels.
        wavevector: (x, y) radians per pixel.
        phase: radians.
    """

    amplitude: tuple[float, float]
    wavevector: tuple[float, float]
    phase: float

    def scaled(self, factor: float) -> Wave:
        """The same wave with `factor` times its amplitude."""
        return replace(self, amplitude=(factor * self.amplitude[0], factor * self.amplitude[1]))


@dataclass(frozen=True, eq=False)
class Motion:
    """The map from frame 1 to frame 2: a smooth deformation, then a homography.

    matrix: (3, 3) float64. waves: the deformation; empty for a rigid layer. The waves together must stretch by less
    than one (the sum of |amplitude| * |wavevector|), so that the map has an inverse. Where they stretch by a quarter,
    `INVERSE_STEPS` fixed-point steps find it to a few thousandths of a pixel.

    Coordinates are float32 arrays x and y that broadcast together: a row and a column for a grid, or two equal shapes.
    """

    matrix: np.ndarray
    waves: tuple[Wave, ...] = ()

    @property
    def reach(self) -> float:
        """The most, in pixels, that the deformation alone moves a point."""
        return float(sum(np.hypot(*wave.amplitude) for wave in self.waves))

    def forward(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points of frame 1 to frame 2."""
        if self.waves:
            shift_x, shift_y = self._deformation(x, y)
            x, y = x + shift_x, y + shift_y
        return transform(self.matrix, x, y)

    def inverse(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points of frame 2 to frame 1."""
        deformed_x, deformed_y = transform(np.linalg.inv(self.matrix), x, y)
        source_x, source_y = deformed_x, deformed_y
        for _ in range(INVERSE_STEPS if self.waves else 0):
            shift_x, shift_y = self._deformation(source_x, source_y)
            source_x, source_y = deformed_x - shift_x, deformed_y - shift_y
        return source_x, source_y

    def _deformation(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shift_x: np.ndarray = np.zeros((), np.float32)
        shift_y: np.ndarray = np.zeros((), np.float32)
        for wave in self.waves:
            kx, ky = wave.wavevector
            height = np.sin(kx * x + (ky * y + wave.phase))
            shift_x = shift_x + wave.amplitude[0] * height
            shift_y = shift_y + wave.amplitude[1] * height
        return shift_x, shift_y


Coordinate = TypeVar("Coordinate", float, np.ndarray)


def transform(matrix: np.ndarray, x: Coordinate, y: Coordinate) -> tuple[Coordinate, Coordinate]:
    """A homography applied to points.

    Args:
        matrix: (3, 3).
        x: float32 coordinates; the result is float32, too.
        y: as x.
    """
    # Python floats leave float32 arrays as they are; NumPy's float64 scalars would widen them.
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    u, v = a * x + (b * y + c), d * x + (e * y + f)
    if g == 0 and h == 0 and i == 1:
        return u, v
    depth = g * x + (h * y + i)
    return u / depth, v / depth
