"""The built-in scenes as training, validation and test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowbench.data.augmentation import Augmentation
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.mixing import Part
from flowbench.data.scenes import SyntheticScenes


def synthetic_data(
    *,
    name: str,
    counts: Mapping[str, int],
    scenes: Mapping[str, Any],
    textures: str | None = None,
    cutouts: str | None = None,
    augmentations: Sequence[Augmentation] = (),
    **loading: Any,
) -> FlowDataModule:
    """counts: pairs of train, val and test. scenes: SyntheticScenes' arguments but count, split, textures and cutouts.
    The splits share no scene. augmentations: of training samples. loading: FlowDataModule's other arguments."""
    splits = {
        split: SyntheticScenes(count=count, split=split, textures=textures, cutouts=cutouts, **scenes)
        for split, count in counts.items()
    }
    train, test = splits.get("train"), splits.get("test")
    return FlowDataModule(
        name=name,
        train={} if train is None else {name: Part(train, augmentations)},
        val=splits.get("val"),
        test={} if test is None else {name: test},
        **loading,
    )
