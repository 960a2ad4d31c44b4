"""Coarse-to-fine estimates with any network: for motion that is larger than what the network was trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from flowbench.errors import FlowBenchError
from flowbench.ops.padding import resized_flow
from flowbench.ops.sampling import coordinate_grid, sample_bilinear
from flowbench.structures import FlowOutput


@dataclass(frozen=True)
class Cascade:
    """The factors by which the images are shrunk, coarsest first; 1 is the images' own size.

    Raises FlowBenchError for factors that are not whole numbers in descending order.
    """

    factors: tuple[int, ...] = (1,)

    def __str__(self) -> str:
        return f"[{','.join(map(str, self.factors))}]"

    def __post_init__(self) -> None:
        whole = all(type(factor) is int and factor >= 1 for factor in self.factors)
        if not self.factors or not whole or list(self.factors) != sorted(set(self.factors), reverse=True):
            raise FlowBenchError(
                f"cascade={list(self.factors)}: whole numbers in descending order are needed, such as [4,2,1], or auto."
            )

    @classmethod
    def for_size(cls, size: Sequence[int], training_size: Sequence[int]) -> Cascade:
        """As many halvings as bring images of `size` (height, width) down to the size that the network was trained on."""
        ratio = max(side / trained for side, trained in zip(size, training_size, strict=True))
        halvings = max(0, math.ceil(math.log2(ratio)))
        return cls(tuple(2**power for power in range(halvings, -1, -1)))

    def estimate(self, estimate: Callable[[Tensor, Tensor], FlowOutput], image1: Tensor, image2: Tensor) -> FlowOutput:
        """Estimates the flow of the shrunk images, warps image2 by it, and estimates the remaining flow at the next factor.

        Args:
            estimate: Returns the flow between two batches of images at their size.
            image1: (B, 3, H, W).
            image2: (B, 3, H, W).

        Returns:
            The finest estimate's output with the full flow (B, 2, H, W), in pixels; `stats` are the finest estimate's.
        """
        height, width = image1.shape[-2:]
        sizes = [(max(1, round(height / factor)), max(1, round(width / factor))) for factor in self.factors]
        try:
            output = estimate(_shrunk(image1, sizes[0]), _shrunk(image2, sizes[0]))
        except FlowBenchError as error:
            if sizes[0] == (height, width):
                raise
            raise FlowBenchError(
                f"cascade={self} shrinks images of {width}x{height} pixels (width x height) by {self.factors[0]}, and the "
                f"network does not take them: leave {self.factors[0]} out. {error}"
            ) from error
        flow = output.flow
        for size in sizes[1:]:
            flow = resized_flow(flow, *size)
            output = estimate(_shrunk(image1, size), _fetched(_shrunk(image2, size), flow))
            # What is left was seen in the warped image: where it leads, the flow so far goes on.
            flow = output.flow + _fetched(flow, output.flow)
        output.flow = resized_flow(flow, height, width)
        output.reuse = None
        return output


def _shrunk(image: Tensor, size: tuple[int, int]) -> Tensor:
    return image if image.shape[-2:] == size else F.interpolate(image, size, mode="area")


def _fetched(image: Tensor, flow: Tensor) -> Tensor:
    """image (B, C, H, W) sampled at x + flow(x); outside of it, the nearest pixel's value."""
    batch, _, height, width = flow.shape
    coords = coordinate_grid(batch, height, width, like=flow) + flow
    last = coords.new_tensor([width - 1, height - 1]).view(2, 1, 1)
    return sample_bilinear(image, torch.minimum(coords.clamp_min(0), last).to(image.dtype))


# Factors, coarsest first; "auto" for as many halvings as bring the images to the training size; None for none.
CascadeLike = Cascade | Sequence[int] | Literal["auto"] | None


def chosen_cascade(cascade: Any, *, warm_start: bool = False) -> Cascade | Literal["auto"] | None:
    """A Cascade from a setting: a list of factors, "auto", or None for none.

    Raises FlowBenchError for anything else, and for one beside a warm start, which it has no use for.
    """
    if cascade is not None and warm_start:
        raise FlowBenchError("A cascade starts each pair anew, but warm_start=true: leave one of them out.")
    if cascade is None or isinstance(cascade, Cascade):
        return cascade
    if isinstance(cascade, str) and cascade == "auto":
        return "auto"
    if isinstance(cascade, Sequence) and not isinstance(cascade, str):
        return Cascade(tuple(cascade))
    raise FlowBenchError(f"cascade={cascade}: give a list of factors such as [4,2,1], auto, or null.")
