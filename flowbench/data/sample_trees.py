"""Small data sets in the layouts and formats of the public ones, made of the built-in scenes: no download.

They serve to try a configuration, doctor.py or the speed of loading before the real data is there:

    write_tree("sintel", "datasets/Sintel", pairs=3)
    python train.py data=sintel paths.sintel=datasets/Sintel ...

Pair number k of each split, pass, direction and camera is a sequence of its own, of two frames. It shows the scene
of `scenes(...).pair(k)` and has its ground truth. The flow of a last frame, where the data set has it, is that of the pair
again. The pairs without ground truth, and those of another camera, show other scenes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from flowbench.data.scenes import ScenePair, SyntheticScenes
from flowbench.data.sets.chairs import SPLIT_FILE
from flowbench.errors import FlowBenchError
from flowbench.io import write_flow, write_image
from flowbench.structures import FlowSample


def write_tree(name: str, root: str | Path, *, pairs: int = 3, size: tuple[int, int] = (64, 80)) -> None:
    """Writes the data set `name` under root, as its `flowbench.data.sets` class expects it.

    Args:
        name: one of TREES.
        root: a folder, which is created where it is missing.
        pairs: number of pairs of each split, pass, direction and camera.
        size: (height, width) in pixels.

    Raises FlowBenchError for an unknown name, or a file that cannot be written.
    """
    if name not in TREES:
        raise FlowBenchError(f"No sample tree is called '{name}': choose of {', '.join(TREES)}.")
    TREES[name](_Drawing(Path(root), pairs, size))


def scenes(split: str, pairs: int, size: tuple[int, int], effects: Mapping[str, Any] | None = None) -> SyntheticScenes:
    """The scenes that the pairs of a split show.

    Args:
        split: train, val or test.
        pairs: number of scenes.
        size: (height, width) in pixels.
        effects: None, as in clean passes, or {} for all, as in final passes.
    """
    return SyntheticScenes(size=size, count=2 * pairs, split=split, layers=(2, 6), static_fraction=0.0, effects=effects)


def is_measured(sample: FlowSample) -> np.ndarray:
    """(H, W) bool: where sample trees of sparse data sets have ground truth, two thirds of the lower three quarters."""
    height, width = sample.valid.shape
    y, x = np.mgrid[:height, :width]
    return (y >= height // 4) & ((x + 2 * y) % 3 > 0)


@dataclass(frozen=True)
class _Drawing:
    """Writer of a tree: its root, its number of pairs and their size."""

    root: Path
    pairs: int
    size: tuple[int, int]

    def samples(
        self, split: str, effects: Mapping[str, Any] | None = None, camera: str = "left"
    ) -> list[tuple[int, ScenePair]]:
        """(number, the pair in both directions) of a split; the right camera has scenes of its own."""
        drawn = scenes(split, self.pairs, self.size, effects)
        first = self.pairs if camera == "right" else 0
        return [(number, drawn.pair(first + number)) for number in range(self.pairs)]

    def write_images(self, sample: FlowSample, first: str, second: str) -> None:
        write_image(self._path(first), sample.image1)
        write_image(self._path(second), sample.image2)

    def write_flow(self, name: str, flow: np.ndarray, valid: np.ndarray | None = None) -> None:
        write_flow(self._path(name), flow, valid)

    def write_mask(self, name: str, mask: np.ndarray) -> None:
        self._path(name).write_bytes(cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes())

    def write_array(self, name: str, array: np.ndarray) -> None:
        np.save(self._path(name), array)

    def write_text(self, name: str, text: str) -> None:
        self._path(name).write_text(text)

    def _path(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _chairs(draw: _Drawing) -> None:
    samples = [pair.forward for split in ("train", "val") for _, pair in draw.samples(split, effects={})]
    for number, sample in enumerate(samples, start=1):
        name = f"data/{number:05d}"
        draw.write_images(sample, f"{name}_img1.ppm", f"{name}_img2.ppm")
        draw.write_flow(f"{name}_flow.flo", sample.flow)
    draw.write_text(SPLIT_FILE, "1\n" * draw.pairs + "2\n" * draw.pairs)


def _things(draw: _Drawing) -> None:
    for pass_name, effects in _PASSES.items():
        for split in ("train", "test"):
            for number, pair in draw.samples(split, effects):
                video = f"{split.upper()}/{'ABC'[number % 3]}/{number // 3:04d}"
                frames = f"frames_{pass_name}pass/{video}/left"
                flow = f"optical_flow/{video}"
                draw.write_images(pair.forward, f"{frames}/0006.png", f"{frames}/0007.png")
                # Every frame has its flow: that of the last leads on, and that of the first back, to where no image is.
                for frame in ("0006", "0007"):
                    draw.write_flow(f"{flow}/into_future/left/OpticalFlowIntoFuture_{frame}_L.pfm", pair.forward.flow)
                    draw.write_flow(f"{flow}/into_past/left/OpticalFlowIntoPast_{frame}_L.pfm", pair.backward.flow)


def _things_subset(draw: _Drawing) -> None:
    for pass_name, effects in _PASSES.items():
        for split, part in (("train", "train"), ("test", "val")):
            for number, pair in draw.samples(split, effects):
                frames, flow = f"{part}/image_{pass_name}/left", f"{part}/flow/left"
                first, second = f"{2 * number:07d}", f"{2 * number + 1:07d}"
                draw.write_images(pair.forward, f"{frames}/{first}.png", f"{frames}/{second}.png")
                draw.write_flow(f"{flow}/into_future/{first}.flo", pair.forward.flow)
                draw.write_flow(f"{flow}/into_past/{second}.flo", pair.backward.flow)


def _sintel(draw: _Drawing) -> None:
    for pass_name, effects in _PASSES.items():
        for split, part in (("train", "training"), ("test", "test")):
            for number, pair in draw.samples(split, effects):
                scene = f"{'alley' if split == 'train' else 'ambush'}_{number + 1}"
                frames = [f"{part}/{pass_name}/{scene}/frame_000{frame}.png" for frame in (1, 2)]
                draw.write_images(pair.forward, *frames)
                if split == "train":
                    draw.write_flow(f"{part}/flow/{scene}/frame_0001.flo", pair.forward.flow)
                    draw.write_mask(f"{part}/occlusions/{scene}/frame_0001.png", _occluded(pair.forward))
                    draw.write_mask(f"{part}/invalid/{scene}/frame_0001.png", ~is_measured(pair.forward))


def _kitti(draw: _Drawing, frame_folder: str = "image_2") -> None:
    for split, part in (("train", "training"), ("test", "testing")):
        for number, pair in draw.samples(split, effects={}):
            sample, name = pair.forward, f"{number:06d}_10.png"
            draw.write_images(sample, f"{part}/{frame_folder}/{name}", f"{part}/{frame_folder}/{number:06d}_11.png")
            if split == "train":
                measured = is_measured(sample)
                draw.write_flow(f"{part}/flow_occ/{name}", sample.flow, measured)
                draw.write_flow(f"{part}/flow_noc/{name}", sample.flow, measured & ~_occluded(sample))


def _kitti2012(draw: _Drawing) -> None:
    _kitti(draw, frame_folder="colored_0")


def _hd1k(draw: _Drawing) -> None:
    for number, pair in draw.samples("train", effects={}):
        sample, frames = pair.forward, [f"{number:06d}_00{frame}.png" for frame in (10, 11)]
        draw.write_images(sample, *(f"hd1k_input/image_2/{frame}" for frame in frames))
        # The last frame has its flow, too, to an image that is not there.
        for frame in frames:
            draw.write_flow(f"hd1k_flow_gt/flow_occ/{frame}", sample.flow, is_measured(sample))


def _middlebury(draw: _Drawing) -> None:
    for number, pair in draw.samples("test", effects={}):
        scene = f"Scene{number + 1}"
        draw.write_images(pair.forward, *(f"other-data/{scene}/frame{frame}.png" for frame in (10, 11)))
        draw.write_flow(f"other-gt-flow/{scene}/flow10.flo", pair.forward.flow, is_measured(pair.forward))


def _spring(draw: _Drawing) -> None:
    for split in ("train", "test"):
        for camera in ("left", "right"):
            for number, pair in draw.samples(split, {}, camera):
                sequence = f"{split}/{number + 1:04d}"
                frames = [f"{sequence}/frame_{camera}/frame_{camera}_000{frame}.png" for frame in (1, 2)]
                draw.write_images(pair.forward, *frames)
                if split == "train":
                    for direction, frame, sample in (("FW", 1, pair.forward), ("BW", 2, pair.backward)):
                        name = f"flow_{direction}_{camera}"
                        # Four values per pixel of the images.
                        flow = sample.flow.repeat(2, axis=0).repeat(2, axis=1)
                        draw.write_flow(f"{sequence}/{name}/{name}_000{frame}.flo5", flow)


def _tartanair(draw: _Drawing) -> None:
    for number, pair in draw.samples("train", effects={}):
        flight = f"office/{('Easy', 'Hard')[number % 2]}/P{number // 2:03d}"
        draw.write_images(pair.forward, *(f"{flight}/image_left/00000{frame}_left.png" for frame in (0, 1)))
        draw.write_array(f"{flight}/flow/000000_000001_flow.npy", pair.forward.flow)
        # Code 10: hidden by something nearer.
        mask = np.where(_occluded(pair.forward), np.uint8(10), np.uint8(0))
        draw.write_array(f"{flight}/flow/000000_000001_mask.npy", mask)


def _folder(draw: _Drawing) -> None:
    for number, pair in draw.samples("train", effects={}):
        video = f"video_{number + 1}"
        draw.write_images(pair.forward, *(f"frames/{video}/{frame}.png" for frame in (1, 2)))
        draw.write_flow(f"flow/{video}/1.flo", pair.forward.flow)


def _occluded(sample: FlowSample) -> np.ndarray:
    if sample.occluded is None:
        raise ValueError(f"{sample.key} does not say what is occluded.")
    return sample.occluded


_PASSES: Mapping[str, Mapping[str, Any] | None] = MappingProxyType({"clean": None, "final": {}})

TREES: Mapping[str, Callable[[_Drawing], None]] = MappingProxyType(
    {
        "chairs": _chairs,
        "things": _things,
        "things_subset": _things_subset,
        "sintel": _sintel,
        "kitti": _kitti,
        "kitti2012": _kitti2012,
        "hd1k": _hd1k,
        "middlebury": _middlebury,
        "spring": _spring,
        "tartanair": _tartanair,
        "folder": _folder,
    }
)
