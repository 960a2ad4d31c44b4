"""The built-in scenes as training, validation and test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

from flowbench.data.augmentation.base import Augmentation, RandomCrop
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.mixing import Part
from flowbench.data.scenes import SyntheticScenes
from flowbench.errors import FlowBenchError

# What `scenes` may set; the other arguments are the data set's own.
SCENE_SETTINGS = sorted(set(signature(SyntheticScenes).parameters) - {"count", "split", "textures", "cutouts"})


def synthetic_data(
    *,
    name: str,
    counts: Mapping[str, int],
    scenes: Mapping[str, Any],
    textures: str | None = None,
    cutouts: str | None = None,
    augmentations: Sequence[Augmentation] = (),
    first: Mapping[str, Any] | None = None,
    evaluated: Mapping[str, Any] | None = None,
    **loading: Any,
) -> FlowDataModule:
    """The built-in scenes. The splits share no scene.

    Args:
        name: Of the data.
        counts: Pairs of train, val and test.
        scenes: SyntheticScenes' arguments but count, split, textures and cutouts.
        textures: A glob of photographs.
        cutouts: A glob of images with an alpha channel.
        augmentations: Of training samples.
        first: An easier stage before, for networks that would not begin to learn on the scenes themselves: {until: the step
            at which it ends, scenes: what differs from `scenes`}. Its samples are not cut.
        evaluated: What differs from `scenes` in validation, and in a second test set, `<name>_evaluated`.
        **loading: FlowDataModule's other arguments.

    Raises FlowBenchError for a setting of the scenes that does not exist, and for a stage without its end or its scenes.
    """
    _check_scenes("data.scenes", scenes)
    if first:
        _check_first(first)
    if evaluated:
        _check_scenes("data.evaluated", evaluated)

    def split(split_name: str, **changes: Any) -> SyntheticScenes:
        settings = {**scenes, **changes}
        return SyntheticScenes(
            count=counts[split_name], split=split_name, textures=textures, cutouts=cutouts, **settings
        )

    parts = {name: Part(split("train"), augmentations)} if "train" in counts else {}
    test = {name: split("test")} if "test" in counts else {}
    if test and evaluated:
        test[f"{name}_evaluated"] = split("test", **evaluated)
    if first and parts:
        easier = split("train", **first["scenes"])
        whole = RandomCrop(tuple(easier.settings.size))
        parts[f"{name}_first"] = Part(easier, [*augmentations, whole], until=first["until"])
    return FlowDataModule(
        name=name,
        train=parts,
        val=split("val", **(evaluated or {})) if "val" in counts else None,
        test=test,
        **loading,
    )


def _check_first(first: Mapping[str, Any]) -> None:
    if set(first) != {"until", "scenes"}:
        raise FlowBenchError(
            f"data.first has {', '.join(sorted(first))}: it needs until, the step at which the stage ends, and scenes, what "
            "differs in it, such as {until: 3000, scenes: {size: [192, 256]}}."
        )
    _check_scenes("data.first.scenes", first["scenes"])


def _check_scenes(where: str, scenes: Any) -> None:
    if not isinstance(scenes, Mapping):
        raise FlowBenchError(f"{where}={scenes}: settings of scenes are needed, such as {{size: [192, 256]}}.")
    unknown = sorted(set(scenes) - set(SCENE_SETTINGS))
    if unknown:
        raise FlowBenchError(f"{where} has no {', '.join(unknown)}: choose from {', '.join(SCENE_SETTINGS)}.")
