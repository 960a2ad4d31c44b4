"""An image as the equilibrium of a network: an implicit neural representation whose one hidden layer is implicit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from flowbench.deq import State

Kind = Literal["siren", "fourier"]
# For photographs of about 200 pixels across.
FREQUENCIES: dict[Kind, float] = {"siren": 90.0, "fourier": 30.0}


@dataclass(frozen=True, kw_only=True)
class InrSettings:
    """Settings of the network.

    Args:
        kind: of the features of a position (x, y).
        features: their number.
        hidden: width of the state.
        frequency: of the features, in radians over half the image's width: omega0 of Siren's first layer; the standard
            deviation of the Fourier features' frequencies.
    """

    kind: Kind
    features: int = 256
    hidden: int = 128
    frequency: float


class SirenFeatures(nn.Module):
    """sin(omega0 (A p + a)) with A and a learnt: Siren's first layer (Sitzmann et al., arXiv 2006.09661, section 3.2)."""

    def __init__(self, settings: InrSettings) -> None:
        super().__init__()
        self.frequency = settings.frequency
        self.linear = nn.Linear(2, settings.features)
        nn.init.uniform_(self.linear.weight, -0.5, 0.5)
        nn.init.uniform_(self.linear.bias, -1, 1)

    def forward(self, positions: Tensor) -> Tensor:
        return torch.sin(self.frequency * self.linear(positions))


class FourierFeatures(nn.Module):
    """cos(B p) and sin(B p) with B drawn from a normal distribution and kept (Tancik et al., arXiv 2006.10739, section 3)."""

    frequencies: Tensor

    def __init__(self, settings: InrSettings) -> None:
        super().__init__()
        self.register_buffer("frequencies", settings.frequency * torch.randn(2, settings.features // 2))

    def forward(self, positions: Tensor) -> Tensor:
        phases = positions @ self.frequencies
        return torch.cat([phases.cos(), phases.sin()], dim=-1)


@dataclass(frozen=True)
class ImageStep:
    """One step of the implicit layer, for all pixels or for some of them."""

    network: ImplicitImage
    injected: Tensor

    def __call__(self, state: State) -> State:
        return (self.network.activation(self.network.hidden(state[0]) + self.injected),)

    def select(self, index: Tensor) -> ImageStep:
        return ImageStep(self.network, self.injected[index])


class ImplicitImage(nn.Module):
    """z* = act(W z* + U features(p) + b), colour = V z* + c; act is the sine for Siren and ReLU for Fourier features.

    The implicit layer is that of (Implicit)^2 (Huang, Bai and Kolter, NeurIPS 2021). The features' contribution is the same
    at every step, and computed once.
    """

    def __init__(self, settings: InrSettings) -> None:
        super().__init__()
        siren = settings.kind == "siren"
        self.features = SirenFeatures(settings) if siren else FourierFeatures(settings)
        self.activation = torch.sin if siren else torch.relu
        self.injection = nn.Linear(settings.features, settings.hidden)
        self.hidden = nn.Linear(settings.hidden, settings.hidden, bias=False)
        self.output = nn.Linear(settings.hidden, 3)
        if siren:
            bound = math.sqrt(6 / settings.features)
            nn.init.uniform_(self.injection.weight, -bound, bound)
        nn.init.orthogonal_(self.hidden.weight)
        nn.init.constant_(self.output.bias, 0.5)

    def inject(self, positions: Tensor) -> Tensor:
        """(..., 2) -> (..., hidden): the position's contribution to every step; x in [-1, 1], y in the same units."""
        return self.injection(self.features(positions))

    def step(self, injected: Tensor) -> ImageStep:
        """f of z = f(z) for a state (z,) of the shape of `injected`."""
        return ImageStep(self, injected)

    def fixed_macs(self) -> int:
        """Multiply-accumulates per pixel outside the solve: features, injection and output."""
        features, hidden = self.injection.in_features, self.injection.out_features
        distinct = features if isinstance(self.features, SirenFeatures) else features // 2
        return 2 * distinct + features * hidden + hidden * 3
