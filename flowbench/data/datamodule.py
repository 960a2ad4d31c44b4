"""The LightningDataModule of all data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import replace
from functools import cached_property, partial
from inspect import signature
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from flowbench.data.augmentation.base import for_crop
from flowbench.data.cache import CachedSamples, SampleCache
from flowbench.data.mixing import ChosenSamples, Part, SkippingSamples, TrainingSamples, readable_indices
from flowbench.data.pair_files import PairFiles
from flowbench.data.sampler import EvaluationSampler, ProcessRank, TrainingSampler
from flowbench.data.workers import start_worker
from flowbench.errors import FlowBenchError
from flowbench.structures import EvalProtocol, FlowBatch, FlowDataset, FlowSample

_Counted = TypeVar("_Counted", bound=Sized)
_Kind = TypeVar("_Kind")


class FlowDataModule(pl.LightningDataModule):
    """Training, validation and test sets of FlowSample, and their loaders.

    Args:
        name: the name of conf/data.
        train: the parts of a mix, by name.
        val: one data set, or None.
        test: data sets that are evaluated separately, by name.
        submission: data sets whose ground truth a benchmark's server keeps, by name.
        protocol: keywords of EvalProtocol, for val and test.
        on_error: for an unreadable pair, "raise", or "skip": training reads another pair instead, and validation leaves it
            out.
        cache: keywords of SampleCache, for training alone; evaluation reads the files and writes nothing.
        batch_size: pairs per training step and process.
        eval_batch_size: pairs per batch of validation and test.
        crop: (height, width) of training samples, or None for uncropped images.
        crops_per_scene: training samples in a row from each pair that is read, each augmented and cropped anew: for pairs
            that take longer to make than to train on.
        half_flow: transfers the training's ground truth in half precision, exact to 1/16 px below 128 px of motion and to
            1/8 px below 256 px, which halves the loaders' traffic.
        steps: of the run.
        workers: processes that load data.
        seed: of shuffles and augmentations.

    Raises FlowBenchError for settings out of range and for entries of a wrong type.
    """

    name: str

    def __init__(
        self,
        *,
        name: str,
        train: Mapping[str, Part] | None = None,
        val: FlowDataset | None = None,
        test: Mapping[str, FlowDataset] | None = None,
        submission: Mapping[str, FlowDataset] | None = None,
        protocol: Mapping[str, Any] | None = None,
        on_error: str = "raise",
        cache: Mapping[str, Any] | None = None,
        batch_size: int = 1,
        eval_batch_size: int = 1,
        crop: Sequence[int] | None = None,
        crops_per_scene: int = 1,
        half_flow: bool = False,
        steps: int = 0,
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.name = name
        self.parts = dict(train or {})
        self.val, self.test, self.submission = val, dict(test or {}), dict(submission or {})
        self._refuse_other_objects()
        self.parts = {
            part_name: replace(part, augmentations=for_crop(part.augmentations, crop or None))
            for part_name, part in self.parts.items()
        }
        self.protocol = _settings(EvalProtocol, "data.protocol", protocol or {})
        self.on_error = on_error
        self.cache = None if cache is None else _settings(SampleCache, "data.cache", cache)
        # Errors of validation pairs that were left out.
        self.skipped: list[str] = []
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        if type(crops_per_scene) is not int or crops_per_scene < 1:
            raise FlowBenchError(f"crops_per_scene={crops_per_scene}: a whole number above zero is needed.")
        self.crops_per_scene = crops_per_scene
        self.half_flow = half_flow
        self.steps = steps
        if type(workers) is not int or workers < 0:
            raise FlowBenchError(f"workers={workers}: a whole number from 0 up is needed.")
        self.workers = workers
        self.seed = seed
        self._tested: FlowDataset | None = None

    @classmethod
    def of(cls, trainer: pl.Trainer) -> FlowDataModule:
        """The data that a trainer runs on."""
        return trainer.datamodule  # type: ignore[attr-defined]  # one of the trainer's parts sets it

    @cached_property
    def train(self) -> TrainingSamples:
        """All training samples, augmented and cut."""
        parts = [self._cached(part) for part in self.parts.values()]
        return TrainingSamples(parts, seed=self.seed, on_error=self.on_error, keep_last=self.crops_per_scene > 1)

    def _cached(self, part: Part) -> Part:
        return part if self.cache is None else replace(part, samples=CachedSamples(part.samples, self.cache))

    def setup(self, stage: str) -> None:
        """Reads one sample of each data set that the stage needs, so that errors show before the first step."""
        if stage == "fit":
            self._filled(self.train, "train")
            self._refuse_endless_stage()
            for start in self.train.starts():
                _ = self.train[0, start]
            self._leave_out_unreadable()
        if stage in ("fit", "validate"):
            _ = self._validated()[0]

    def _refuse_endless_stage(self) -> None:
        """Raises FlowBenchError where the run ends before the first stage of its data, and never sees the second."""
        ends = {part.until for part in self.parts.values()}
        first = min((end for end in ends if end is not None), default=0)
        if self.steps and None in ends and first >= self.steps:
            raise FlowBenchError(
                f"The first stage of the data '{self.name}' lasts until step {first:,}, but the run has {self.steps:,} steps "
                "and would see nothing else: end the stage earlier, leave it out, or train for longer."
            )

    def _leave_out_unreadable(self) -> None:
        """Reads every validation pair once, so that no unreadable one ends a run that skips them in training.

        The first process does so for all processes, which must have the same list.
        """
        if self.on_error != "skip" or self.val is None or self.skipped:
            return
        found = readable_indices(self.val) if self._attached.is_global_zero else ([], [])
        readable, self.skipped = self._attached.strategy.broadcast(found)
        if self.skipped:
            self.val = ChosenSamples(self.val, readable)

    def split(self, name: str) -> dict[str, FlowDataset]:
        """The data sets of train, val, test or submission, by their names; training samples without augmentation, once."""
        splits = {
            "train": {part_name: part.samples for part_name, part in self.parts.items()},
            "val": {} if self.val is None else {"val": self.val},
            "test": self.test,
            "submission": self.submission,
        }
        if name not in splits:
            raise FlowBenchError(f"Unknown split '{name}': choose {', '.join(splits)}.")
        for samples in splits[name].values():
            self._filled(samples, name)
        if not splits[name] and name == "test" and self.val is not None:
            raise FlowBenchError(
                f"The data '{self.name}' has no test pairs, only validation pairs, which chose best.ckpt: measure on those "
                "with split=val, or set data.test (of data=folder: data.test.images, data.test_share or data.lists.test)."
            )
        if not splits[name]:
            self._filled(None, name)
        return splits[name]

    def test_on(self, samples: FlowDataset) -> None:
        """Makes these samples those of Lightning's test loop."""
        self._tested = samples

    def counts(self) -> dict[str, int]:
        """Pairs of each data set, by "train/<part>", "val" or "test/<name>"; repetitions of a part do not count."""
        return {label: len(samples) for label, samples in self._labelled()}

    def _labelled(self) -> Iterator[tuple[str, FlowDataset]]:
        yield from ((f"train/{name}", part.samples) for name, part in self.parts.items())
        if self.val is not None:
            yield "val", self.val
        yield from ((f"test/{name}", samples) for name, samples in self.test.items())

    def train_dataloader(self) -> DataLoader[FlowSample]:
        # The sampler counts batches, of which an accumulated step takes several.
        accumulated = self._attached.accumulate_grad_batches
        sampler = TrainingSampler(
            stages=[replace(stage, first_step=stage.first_step * accumulated) for stage in self.train.stages()],
            batch_size=self.batch_size,
            first_step=self._attached.global_step * accumulated,
            last_step=self.steps * accumulated,
            seed=self.seed,
            process=self._process(),
            crops=self.crops_per_scene,
        )
        packed = partial(FlowBatch.packed, half_flow=self.half_flow)
        return self._loader(self.train, batch_sampler=sampler, collate_fn=packed)

    def on_after_batch_transfer(self, batch: FlowBatch, dataloader_idx: int) -> FlowBatch:
        """Batches are transferred to the device packed, and unpacked there."""
        return batch.unpacked()

    def val_dataloader(self) -> DataLoader[FlowSample]:
        return self._evaluation_loader(self._validated())

    def _validated(self) -> FlowDataset:
        """The samples of validation. A file may become unreadable after setup, or in one process alone."""
        val = self._filled(self.val, "val")
        return SkippingSamples(val) if self.on_error == "skip" else val

    def test_dataloader(self) -> DataLoader[FlowSample]:
        return self._evaluation_loader(self._filled(self._tested, "test"))

    def _evaluation_loader(self, samples: FlowDataset) -> DataLoader[FlowSample]:
        processes = self._attached.world_size
        if len(samples) < processes:
            # In a process without samples, Lightning would skip the evaluation, and the others would wait for it.
            raise FlowBenchError(
                f"{processes} processes cannot share out {len(samples)} of the pairs of '{self.name}': use "
                f"{len(samples)} processes or fewer."
            )
        sampler = EvaluationSampler(size=len(samples), process=self._process())
        return self._loader(samples, sampler=sampler, batch_size=self.eval_batch_size, collate_fn=FlowBatch.packed)

    def _loader(self, samples: Dataset[FlowSample], **options: Any) -> DataLoader[FlowSample]:
        return DataLoader(
            samples,
            num_workers=self.workers,
            worker_init_fn=start_worker,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            **options,
        )

    def _process(self) -> ProcessRank:
        return ProcessRank(self._attached.global_rank, self._attached.world_size)

    @property
    def _attached(self) -> pl.Trainer:
        if self.trainer is None:
            raise FlowBenchError(
                f"The loaders of '{self.name}' need a trainer: call trainer.fit(model, datamodule=data)."
            )
        return self.trainer

    def trees(self) -> dict[str, str]:
        """The folder tree that was found of each data set that may have several."""
        files = {label: samples for label, samples in self._labelled() if isinstance(samples, PairFiles)}
        found = {label: samples.tree_found for label, samples in files.items()}
        return {label: tree for label, tree in found.items() if tree is not None}

    def _filled(self, samples: _Counted | None, split: str) -> _Counted:
        """The samples. Raises FlowBenchError where there are none."""
        if samples is None or len(samples) == 0:
            own = (
                " (of data=folder: data.val.images, data.validation_share or data.lists.val)" if split == "val" else ""
            )
            raise FlowBenchError(
                f"The data '{self.name}' has no {split} pairs: check data.{split}{own} and where its files lie, or choose "
                "other data."
            )
        return samples

    def _refuse_other_objects(self) -> None:
        named: dict[str, tuple[object, type]] = {f"train.{name}": (part, Part) for name, part in self.parts.items()}
        named |= {f"test.{name}": (samples, FlowDataset) for name, samples in self.test.items()}
        named |= {f"submission.{name}": (samples, FlowDataset) for name, samples in self.submission.items()}
        named |= {} if self.val is None else {"val": (self.val, FlowDataset)}
        for key, (found, kind) in named.items():
            if not isinstance(found, kind):
                raise FlowBenchError(
                    f"data.{key} of '{self.name}' is {found!r}, without the _target_ of a {kind.__name__}: is its name right?"
                )


def _settings(kind: type[_Kind], key: str, given: Any) -> _Kind:
    """An object of that class from the keywords of a config."""
    names = signature(kind).parameters
    needed = [name for name, parameter in names.items() if parameter.default is parameter.empty]
    if not isinstance(given, Mapping) or not set(needed) <= set(given) <= set(names):
        raise FlowBenchError(f"{key}={given}: give {{{', '.join(f'{name}: ...' for name in needed or names)}}}.")
    return kind(**given)
