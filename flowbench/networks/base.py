"""The base class of every network: images in, flow out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any, ClassVar

from torch import Tensor, nn

from flowbench.errors import FlowBenchError
from flowbench.structures import FlowOutput


class FlowNetwork(nn.Module, ABC):
    """A network that estimates the flow between two images.

    Attributes:
        stride: The heights and widths that the network takes are multiples of it, pixels.
        warm_startable: Whether `forward` can start from the `reuse` of the pair before.
    """

    stride: ClassVar[int]
    warm_startable: ClassVar[bool] = False

    __call__: Callable[..., FlowOutput]

    @property
    def iterations(self) -> int | None:
        """Number of updates, or largest number of solver steps, in train mode; None for a network that does not iterate."""
        return None

    @property
    def eval_iterations(self) -> int | None:
        """As `iterations`, in eval mode."""
        return None

    @abstractmethod
    def normalise(self, image1: Tensor, image2: Tensor) -> tuple[Tensor, Tensor]:
        """The images as the layers take them.

        Args:
            image1: (B, 3, H, W) RGB in [0, 1], of any size.
            image2: As image1.
        """

    @abstractmethod
    def forward(self, image1: Tensor, image2: Tensor, reuse: Any = None, *, normalised: bool = False) -> FlowOutput:
        """The flow from image1 to image2.

        Args:
            image1: (B, 3, H, W) RGB in [0, 1]; H and W are multiples of `stride`.
            image2: As image1.
            reuse: `FlowOutput.reuse` of the pair before in a video, of the family's own type, or None for a cold start.
            normalised: Whether `normalise` has been applied to the images already.

        Returns:
            flow (B, 2, H, W) in pixels, and in train mode the `predictions` that the objective supervises.
        """


class IterativeNetwork(FlowNetwork):
    """A network that refines the flow step by step. Its constructor sets `iterations` and `eval_iterations`.

    Either raises FlowBenchError where it is set to anything but a whole number above zero.
    """

    _iterations: int
    _eval_iterations: int

    @property
    def iterations(self) -> int:
        return self._iterations

    @iterations.setter
    def iterations(self, iterations: int) -> None:
        self._iterations = whole_number("iterations", iterations)

    @property
    def eval_iterations(self) -> int:
        return self._eval_iterations

    @eval_iterations.setter
    def eval_iterations(self, iterations: int) -> None:
        self._eval_iterations = whole_number("eval_iterations", iterations)


def whole_number(name: str, number: int) -> int:
    """The number itself. Raises FlowBenchError unless it is an int above zero."""
    if type(number) is not int or number < 1:
        raise FlowBenchError(f"{name}={number}: a whole number above zero is needed.")
    return number


def one_of(name: str, value: str, choices: Collection[str]) -> None:
    """Raises FlowBenchError, with the choices, unless the value is one of them.

    Args:
        name: the setting's, for the message.
        value: the setting's.
        choices: all possible values.
    """
    if value not in choices:
        raise FlowBenchError(f"{name}={value}: choose one of {', '.join(choices)}.")
