"""Memory of a device."""

from __future__ import annotations

import os

import torch


def total_memory(device: torch.device) -> int | None:
    """Bytes of the device's memory; None where the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type != "cpu":
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
