"""A user's own pictures as training, validation and test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowbench.data.augmentation import Augmentation
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.mixing import Part
from flowbench.data.sets.folder import Folder
from flowbench.errors import FlowBenchError


def folder_data(
    *,
    name: str,
    images: str | None,
    second: str | None = None,
    flow: str | None = None,
    validation_share: float = 0.0,
    val: Mapping[str, str | None] | None = None,
    test: Mapping[str, str | None] | None = None,
    augmentations: Mapping[str, Sequence[Augmentation]],
    **loading: Any,
) -> FlowDataModule:
    """images, second, flow: as `Folder` has them; without flow, the pairs can be predicted only.

    validation_share: this share of the pairs, the last ones, is not trained on but validated. val, test: images, second and
    flow of pictures apart. Tested is what test says, or else what is validated, or else all pairs. augmentations: of
    training samples, by whether their truth is "dense" or "sparse". loading: FlowDataModule's other arguments.

    Raises FlowBenchError where there are no pictures at all.
    """
    if not 0 <= validation_share < 1:
        raise FlowBenchError(f"data.validation_share={validation_share}: a share from 0 to below 1 is needed.")
    val_apart, test_apart = _apart("val", val), _apart("test", test)
    if images is None and val_apart is None and test_apart is None:
        raise FlowBenchError(
            "data=folder needs pictures: data.images='frames/*.png', and data.flow='flow/*.flo' where there is truth."
        )
    own = {"images": images, "second": second, "flow": flow}
    whole = None if images is None else Folder(**own)
    held_out = (
        Folder(**own, part=(1 - validation_share, 1)) if whole is not None and flow and validation_share else None
    )
    validated = _first(val_apart, held_out)
    tested = _first(test_apart, validated, whole)
    measured = tested is not None and tested.flow is not None
    return FlowDataModule(
        name=name,
        train=_train(name, own, 1 - validation_share, augmentations) if flow else {},
        val=validated,
        test={name: tested} if measured else {},
        submission={} if measured or tested is None else {name: tested},
        **loading,
    )


def _first(*sets: Folder | None) -> Folder | None:
    """The first that there is; `or` would list its files."""
    return next((each for each in sets if each is not None), None)


def _apart(split: str, files: Mapping[str, str | None] | None) -> Folder | None:
    if files is None or files.get("images") is None:
        return None
    if split == "val" and files.get("flow") is None:
        raise FlowBenchError("data.val.images has no flow to validate against: set data.val.flow.")
    return Folder(**files)


def _train(
    name: str, own: Mapping[str, Any], share: float, augmentations: Mapping[str, Sequence[Augmentation]]
) -> dict[str, Part]:
    if own["images"] is None:
        raise FlowBenchError("data.flow has no pictures: set data.images.")
    samples = Folder(**own, part=(0, share))
    return {name: Part(samples, augmentations["sparse" if samples.sparse else "dense"])}
