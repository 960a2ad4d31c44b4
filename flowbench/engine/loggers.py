"""Loggers that need more than their own constructor."""

from __future__ import annotations

import netrc
import os
from typing import Any

from pytorch_lightning.loggers import WandbLogger


def wandb_logger(**options: Any) -> WandbLogger:
    """W&B, offline where there is no account: nothing is ever asked at the prompt.

    WANDB_MODE decides where it is set. `wandb sync` sends an offline run later.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    if "WANDB_MODE" not in os.environ:
        options["mode"] = "online" if _has_account() else "offline"
    return WandbLogger(**options)


def _has_account() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
