"""A user's own images as training, validation and test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowbench.data.augmentation.base import Augmentation
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.mixing import Part
from flowbench.data.sets.folder import Folder
from flowbench.data.sets.folder_parts import PARTS, SHARES, FolderDivision, FolderPart
from flowbench.errors import FlowBenchError


def folder_data(
    *,
    name: str,
    images: str | None,
    second: str | None = None,
    flow: str | None = None,
    step: int = 1,
    white: int | None = None,
    validation_share: float = 0.0,
    test_share: float = 0.0,
    lists: Mapping[str, str | None] | None = None,
    val: Mapping[str, str | None] | None = None,
    test: Mapping[str, str | None] | None = None,
    augmentations: Mapping[str, Sequence[Augmentation]],
    **loading: Any,
) -> FlowDataModule:
    """The data module of a user's own images.

    The test set is what test, test_share or lists.test says. Without any of these it is all pairs, unless some are for
    validation: these choose best.ckpt, and so are never tested by default.

    Args:
        name: the name of conf/data.
        images, second, flow, step, white: see `Folder`; without flow, the pairs can be predicted only.
        validation_share, test_share, lists: see `FolderDivision`.
        val, test: images, second and flow of separate folders.
        augmentations: of training samples, by whether their ground truth is "dense" or "sparse".
        loading: FlowDataModule's other arguments.

    Raises FlowBenchError where there are no images at all, or settings exclude each other.
    """
    own = {"images": images, "second": second, "flow": flow, "step": step, "white": white}
    shared = {"step": step, "white": white}
    val_apart, test_apart = _apart("val", val, shared), _apart("test", test, shared)
    if images is None and val_apart is None and test_apart is None:
        raise FlowBenchError(
            "data=folder needs images: data.images='frames/*.png', and data.flow='flow/*.flo' where there is ground truth."
        )
    if flow and images is None:
        raise FlowBenchError("data.flow has no images: set data.images.")
    parts = _parts(own, {"val": validation_share, "test": test_share}, lists or {})
    _refuse_two("val", val_apart, parts)
    _refuse_two("test", test_apart, parts)
    trained, validated = parts.get("train"), _first(val_apart, parts.get("val"))
    tested = _first(test_apart, parts.get("test"), trained if validated is None else None)
    measured = {name: tested} if tested is not None and tested.flow is not None else {}
    return FlowDataModule(
        name=name,
        train=_train(name, trained, augmentations) if flow and trained is not None else {},
        val=validated,
        test=measured,
        submission={} if measured or tested is None else {name: tested},
        **loading,
    )


def _parts(
    own: Mapping[str, Any], shares: Mapping[str, float], lists: Mapping[str, str | None]
) -> dict[str, Folder | FolderPart]:
    """The parts that data.images is divided into; by default all of it is "train"."""
    named = {part: file for part, file in lists.items() if file is not None}
    asked = {part: share for part, share in shares.items() if share}
    for part, share in shares.items():
        if not 0 <= share < 1:
            raise FlowBenchError(f"data.{SHARES[part]}={share}: a share from 0 to below 1 is needed.")
    if sum(shares.values()) >= 1:
        raise FlowBenchError(
            f"data.validation_share={shares['val']} and data.test_share={shares['test']} leave nothing to train on."
        )
    if not set(named) <= set(PARTS):
        raise FlowBenchError(f"data.lists has {', '.join(named)}: choose of {', '.join(PARTS)}.")
    if named and asked:
        raise FlowBenchError("data.lists and shares (data.validation_share, data.test_share) exclude each other.")
    if own["images"] is None:
        return {}
    whole = Folder(**own)
    if own["flow"] is None or not (named or asked):
        return {"train": whole}
    division = FolderDivision(whole, shares=asked, lists=named)
    return {part: FolderPart(division, part) for part in named or ("train", *asked)}


def _refuse_two(part: str, apart: Folder | None, parts: Mapping[str, object]) -> None:
    if apart is not None and part in parts:
        raise FlowBenchError(
            f"data.{part}.images and data.{SHARES[part]} or data.lists.{part} exclude each other: give one."
        )


def _first(*sets: Folder | FolderPart | None) -> Folder | FolderPart | None:
    """The first that is not None; `or` would take the length of a data set, and so list its files."""
    return next((samples for samples in sets if samples is not None), None)


def _apart(split: str, files: Mapping[str, str | None] | None, shared: Mapping[str, Any]) -> Folder | None:
    if files is None or files.get("images") is None:
        return None
    if split == "val" and files.get("flow") is None:
        raise FlowBenchError("data.val.images has no flow to validate against: set data.val.flow.")
    return Folder(**dict(shared) | dict(files))


def _train(
    name: str, samples: Folder | FolderPart, augmentations: Mapping[str, Sequence[Augmentation]]
) -> dict[str, Part]:
    return {name: Part(samples, augmentations["sparse" if samples.sparse else "dense"])}
