"""Gathering of objects over the processes of a run."""

from __future__ import annotations

from typing import TypeVar

import torch

T = TypeVar("T")


def from_all_processes(own: T) -> list[T]:
    """One value a process, in their order, in every process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [own]
    shares: list[T] = [own] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shares, own)
    return shares
