"""Weight normalisation (Salimans and Kingma, arXiv 1602.07868) that is computed once per forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm


def normalise_weights(module: nn.Module) -> nn.Module:
    """Reparametrises every convolution inside by a magnitude per output channel and a direction. Returns the module."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            weight_norm(part)
    return module


@contextmanager
def weights_computed_once(module: nn.Module) -> Iterator[None]:
    """Inside, each parametrised weight is computed once, and carries gradient even where it is used without."""
    with parametrize.cached():
        for part in module.modules():
            if isinstance(found := getattr(part, "parametrizations", None), nn.ModuleDict):
                for name in found:
                    getattr(part, name)
        yield
