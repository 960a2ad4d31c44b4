"""This process among those of one run."""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Whether this process writes the run's files; torchrun says so in RANK, on whichever machine it is."""
    rank = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))
    return rank == "0" and os.environ.get("SLURM_PROCID", "0") == "0"
