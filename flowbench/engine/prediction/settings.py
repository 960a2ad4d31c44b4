"""Settings of a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from flowbench.engine.config.kinds import Amount, Count, Positive, Precision
from flowbench.engine.run.settings import Settings, Split
from flowbench.errors import FlowBenchError
from flowbench.models.cascade import chosen_cascade
from flowbench.models.sizes import Sizes, estimation_size
from flowbench.models.tiles import chosen_tiles


@dataclass(frozen=True, kw_only=True)
class PredictSettings(Settings):
    """What `predict` takes; conf/predict.yaml has the same names and defaults."""

    ckpt: str | Path | None = None
    """The checkpoint, ours or official, or the name of weights; the shipped weights if None."""
    model: DictConfig | None = None
    """Of an official checkpoint, its model; of one of ours, changes of what it remembers."""
    input: str | Path | Sequence[str | Path] | None = None
    """A video, a TIFF stack, camera:0, a folder of frames, a pattern such as 'frames/*.png', or a list of images."""
    data: DictConfig | None = None
    """A data set in place of input."""
    split: Split = "test"
    """Which pairs of data."""
    submission: bool = False
    """Predict data's own test pairs, whose ground truth a server keeps, into the files that it takes."""
    output: str | Path | None = None
    """The folder of the results; the run's own if None."""
    format: Literal["flo", "png", "npz", "none"] = "flo"
    """Of flow files; png is KITTI's. A submission has its server's."""
    pictures: bool | Literal["auto"] = "auto"
    """The flow in colours, an image a pair; auto: unless it is a submission."""
    video: bool | Literal["auto"] = "auto"
    """Frame and flow side by side; auto: where the input is a video."""
    page: bool | Literal["auto"] = "auto"
    """index.html, which shows it all; auto: unless it is a submission."""
    fps: Positive | None = None
    """Frames per second of video and page; the input's own if None, 24 for images."""
    max_flow: Positive | None = None
    """Pixels of the fullest colour; each image's longest flow if None, and a steady scale in the video."""
    white: Count | None = None
    """The value of white in 16-bit images of input; 65535 if None."""
    every: Count = 1
    """Take every n-th frame of the input only."""
    gap: Count = 1
    """Pair each frame with the one n frames later."""
    backward: bool = False
    """Predict the flow from each second image to the first, too, and the pixels that are occluded in it."""
    occlusion_relative: Amount = 0.01
    """The share of the squared flows by which forward and backward flow may differ where nothing is occluded."""
    occlusion_absolute: Amount = 0.5
    """What they may differ by besides, pixels^2."""
    moving_threshold: Amount = 0.5
    """Pixels from which on a pixel counts as moving in motion.csv."""
    cascade: Literal["auto"] | Sequence[int] | None = None
    """Coarse to fine: factors such as [4, 2, 1], or auto; at once if None."""
    scale: Positive | None = None
    """By which images are enlarged or shrunk before; the flow is that of the image's own size."""
    max_side: Count | None = None
    """Pixels of the longer side, to which larger images are shrunk before; in place of scale."""
    tile: Count | None = None
    """Pixels of the squares that are estimated one at a time, in bounded memory; the whole image at once if None."""
    overlap: Count | None = None
    """Pixels that neighbouring tiles share; a quarter of a tile if None."""
    warm_start: bool = False
    """Start from the previous pair's flow."""
    compare_cold: bool = False
    """Solve every pair from a cold start, too, to say what the warm start saved."""
    batch_size: Count = 1
    """Pairs at once."""
    iterations: Count | None = None
    """Updates or solver steps; if None, those of data's protocol, or else the model's own eval_iterations."""
    limit: Count | None = None
    """At most so many pairs; all if None."""
    device: str = "auto"
    """auto (cuda where there is one, else cpu), cpu, cuda, cuda:1, ..."""
    precision: Precision = "32-true"
    """What the network computes in."""

    @property
    def sizes(self) -> Sizes:
        """As `FlowModel.estimate` takes them."""
        return Sizes(scale=self.scale, max_side=self.max_side, tile=self.tile, overlap=self.overlap)

    def check(self) -> None:
        self._check_source()
        self._check_warm_start()
        chosen_cascade(self.cascade, warm_start=self.warm_start)
        chosen_tiles(self.tile, self.overlap, warm_start=self.warm_start)
        estimation_size((1, 1), scale=self.scale, max_side=self.max_side)
        if self.data is not None:
            self._check_data(self.data)
        if self.submission:
            self._check_submission()

    def _check_source(self) -> None:
        if self.input and self.data is not None:
            raise FlowBenchError(f"input={self.input} and data={self.data.get('name')} exclude each other: give one.")
        if not self.input and self.data is None:
            raise FlowBenchError(
                "No input was given: add input=<video | folder | pattern | [a.png,b.png]>, or data=<name> for a data set."
            )

    def _check_warm_start(self) -> None:
        if self.warm_start and self.batch_size != 1:
            raise FlowBenchError(
                f"warm_start=true starts each pair from the one before, but batch_size={self.batch_size} computes them "
                "at once: set batch_size=1, or leave warm_start out."
            )
        if self.warm_start and self.gap != 1:
            raise FlowBenchError(
                f"warm_start=true starts each pair from the one that ends where it begins, but with gap={self.gap} the one "
                f"before ends elsewhere: use every={self.gap}, or leave one of them out."
            )
        if self.compare_cold and not self.warm_start:
            raise FlowBenchError(
                "compare_cold=true says what a warm start saved, but warm_start=false: add warm_start=true, or leave "
                "compare_cold out."
            )

    def _check_data(self, data: DictConfig) -> None:
        for name, value in (("every", self.every), ("gap", self.gap)):
            if value != 1:
                raise FlowBenchError(f"{name}={value} is for input; the pairs of a data set are given. Leave it out.")
        if "_target_" not in data:
            raise FlowBenchError("Changes of data need the data set that they change: add data=<name>.")
        if self.batch_size != 1:
            raise FlowBenchError(
                f"batch_size={self.batch_size}: the pairs of a data set, which may differ in size, are predicted one at a "
                "time. Leave batch_size out."
            )
        if self.white is not None:
            raise FlowBenchError(f"white={self.white} is for input; a folder of your own takes data.white.")
        if self.video is True:
            raise FlowBenchError("video=true: a data set's pairs are no video. Leave it out, or give input=<a folder>.")

    def _check_submission(self) -> None:
        if self.data is None:
            raise FlowBenchError("submission=true needs the data set that is submitted to: add data=<name>.")
        if self.split != "test":
            raise FlowBenchError(
                f"split={self.split}: submission=true predicts the pairs whose ground truth the server keeps, the "
                "data set's own test split. Set split=test, or leave it out."
            )
        if self.backward:
            raise FlowBenchError("backward=true: no server takes it of pairs that are not its own. Leave it out.")
