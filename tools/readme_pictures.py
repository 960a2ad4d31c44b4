"""The picture at the top of the README: film frames of assets/ and their flow by the shipped weights.

`python tools/readme_pictures.py` writes docs/images/film_flow.jpg anew, for new weights.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

import flowbench
from flowbench.io import read_image, write_image
from flowbench.models.base import FlowModel
from flowbench.pretrained.names import DEFAULT
from flowbench.report.colour import wheel_image

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "film_flow.jpg"
# Consecutive frames; assets/README.md has the credits.
PAIRS = (
    ("sintel/frame_0016.png", "sintel/frame_0017.png"),
    ("tears_of_steel_0890/frame_1.png", "tears_of_steel_0890/frame_2.png"),
    ("big_buck_bunny_0041/frame_1.png", "big_buck_bunny_0041/frame_2.png"),
)
HEIGHT = 200
GAP = 8
WHEEL = 36


def main() -> None:
    model = flowbench.load(DEFAULT)
    columns = [column(model, *(read_image(ROOT / "assets" / name) for name in pair)) for pair in PAIRS]
    gap = np.full((columns[0].shape[0], GAP, 3), 255, np.uint8)
    write_image(PICTURE, cv2.hconcat([part for image in columns for part in (gap, image)][1:]))
    print(PICTURE.relative_to(ROOT))


def column(model: FlowModel, image1: np.ndarray, image2: np.ndarray) -> np.ndarray:
    """The first image above the flow that starts from it, with the colour wheel in a corner; (2 * HEIGHT + GAP, W, 3)."""
    flow = model.estimate(image1, image2).flow[0].permute(1, 2, 0).cpu().numpy()
    frame, colours = (_of_height(image) for image in (image1, flowbench.flow_to_image(flow)))
    wheel = wheel_image(WHEEL, background=0)
    colours[-WHEEL:, -WHEEL:] = np.where(wheel.any(axis=-1, keepdims=True), wheel, colours[-WHEEL:, -WHEEL:])
    return cv2.vconcat([frame, np.full((GAP, frame.shape[1], 3), 255, np.uint8), colours])


def _of_height(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return cv2.resize(image, (round(width * HEIGHT / height), HEIGHT), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
