"""Filters of messages that Lightning, PyTorch and FFmpeg write for their own developers."""

from __future__ import annotations

import logging
import os
import warnings

_WARNINGS = (
    r".*isinstance\(treespec, LeafSpec\).* is deprecated",
    r"Grad strides do not match bucket view strides",
    r"The '\w+' does not have many workers",
)


def quieten_lightning() -> None:
    """Keeps its hints, tips and reports of progress off the terminal, and what FFmpeg writes; its own warnings and errors
    stay, but for a few."""
    # A full disk ends a run with an error of its own; the log file need not report it as well, with a traceback.
    logging.raiseExceptions = False
    # FFmpeg writes two lines for each frame that it cannot decode; the error at the end says what is wrong.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    for message in _WARNINGS:
        warnings.filterwarnings("ignore", message)
