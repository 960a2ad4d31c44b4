"""Loggers beside metrics.csv. Each takes named options only: a config.yaml that is resumed may be somebody else's."""

from __future__ import annotations

import netrc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from flowbench.io.names import inside


def tensorboard_logger(
    *,
    save_dir: str,
    name: str = "",
    version: str = "tensorboard",
    prefix: str = "",
    comment: str = "",
    default_hp_metric: bool = True,
    max_queue: int = 10,
    flush_secs: int = 120,
) -> TensorBoardLogger:
    """TensorBoard's event files in <save_dir>/<name>/<version>; the options are Lightning's and SummaryWriter's.

    Raises FlowBenchError for a name or a version that leads out of save_dir.
    """
    inside(Path(save_dir), str(Path(name, str(version))))
    return TensorBoardLogger(
        save_dir=save_dir,
        name=name,
        version=version,
        prefix=prefix,
        comment=comment,
        default_hp_metric=default_hp_metric,
        max_queue=max_queue,
        flush_secs=flush_secs,
    )


def wandb_logger(
    *,
    save_dir: str,
    project: str,
    name: str | None = None,
    tags: Sequence[str] = (),
    entity: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    notes: str | None = None,
    id: str | None = None,
    prefix: str = "",
    offline: bool = False,
) -> WandbLogger:
    """W&B, offline where there is no account: nothing is ever asked at the prompt. The options are W&B's.

    WANDB_MODE decides where it is set. `wandb sync` sends an offline run later.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    mode = None if "WANDB_MODE" in os.environ else "online" if _has_account() else "offline"
    options: dict[str, Any] = {"entity": entity, "group": group, "job_type": job_type, "notes": notes, "mode": mode}
    return WandbLogger(
        save_dir=save_dir,
        project=project,
        name=name,
        id=id,
        prefix=prefix,
        offline=offline,
        tags=list(tags),
        **{key: value for key, value in options.items() if value is not None},
    )


def _has_account() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
