"""The built-in scenes as training, validation and test sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowbench.data.datamodule import FlowDataModule
from flowbench.data.scenes import SyntheticScenes


def synthetic_data(
    *, name: str, counts: Mapping[str, int], scenes: Mapping[str, Any], textures: str | None = None, **loading: Any
) -> FlowDataModule:
    """counts: pairs of train, val and test. scenes: SyntheticScenes' arguments but count, split and textures. The splits
    share no scene. loading: FlowDataModule's arguments."""
    splits = {
        split: SyntheticScenes(count=count, split=split, textures=textures, **scenes) for split, count in counts.items()
    }
    return FlowDataModule(name=name, **splits, **loading)
