"""Data sets as Lightning's loops want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from flowbench.data.augmentation import Augmentation, RandomCrop
from flowbench.data.sampler import EvaluationSampler, Share, TrainingSampler
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowBatch, FlowSample


class AugmentedSamples(Dataset):
    """Samples addressed by (position in the run, index in the data); the augmentations draw from (seed, position)."""

    def __init__(self, samples: Dataset, augmentations: Sequence[Augmentation], seed: int) -> None:
        self.samples = samples
        self.augmentations = augmentations
        self.seed = seed

    def __getitem__(self, address: tuple[int, int]) -> FlowSample:
        position, index = address
        sample = self.samples[index]
        generator = np.random.default_rng((self.seed, position))
        for augmentation in self.augmentations:
            sample = augmentation(sample, generator)
        return sample


class FlowDataModule(pl.LightningDataModule):
    """Training, validation and test sets of FlowSample, and their loaders.

    train, val, test: data sets, or None where there is none. augmentations: applied to training samples, before the crop.
    batch_size: pairs a training step and process. crop: (height, width) of training samples, or None for whole pictures.
    """

    def __init__(
        self,
        *,
        name: str,
        train: Dataset | None = None,
        val: Dataset | None = None,
        test: Dataset | None = None,
        augmentations: Sequence[Augmentation] = (),
        batch_size: int = 1,
        eval_batch_size: int = 1,
        crop: tuple[int, int] | None = None,
        steps: int = 0,
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.name = name
        self.train, self.val, self.test = train, val, test
        self.augmentations = [*augmentations, *([RandomCrop(tuple(crop))] if crop else [])]
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.steps = steps
        self.workers = workers
        self.seed = seed
        self.tested = "test"

    def setup(self, stage: str) -> None:
        """Draws one sample of each set that the stage needs: what is wrong with the data shows before the first step."""
        needed = {"fit": ("train", "val"), "validate": ("val",), "test": (self.tested,)}[stage]
        for split in needed:
            samples = self._split(split)
            _ = AugmentedSamples(samples, self.augmentations, self.seed)[0, 0] if split == "train" else samples[0]

    def test_on(self, split: str) -> Dataset:
        """Has Lightning's test loop run over train, val or test, and gives those samples."""
        if split not in ("train", "val", "test"):
            raise FlowBenchError(f"Unknown split '{split}': choose train, val or test.")
        self.tested = split
        return self._split(split)

    def counts(self) -> dict[str, int]:
        """Pairs of each split."""
        splits = {"train": self.train, "val": self.val, "test": self.test}
        return {split: len(samples) for split, samples in splits.items() if samples is not None}

    def train_dataloader(self) -> DataLoader:
        batches = self.trainer.global_step * self.trainer.accumulate_grad_batches
        sampler = TrainingSampler(
            size=len(self.train),
            batch_size=self.batch_size,
            first_step=batches,
            last_step=self.steps * self.trainer.accumulate_grad_batches,
            seed=self.seed,
            share=self._share(),
        )
        return self._loader(AugmentedSamples(self.train, self.augmentations, self.seed), batch_sampler=sampler)

    def val_dataloader(self) -> DataLoader:
        return self._evaluation_loader(self.val)

    def test_dataloader(self) -> DataLoader:
        return self._evaluation_loader(self._split(self.tested))

    def _evaluation_loader(self, samples: Dataset) -> DataLoader:
        if len(samples) < self.trainer.world_size:
            # Lightning would pass over the evaluation in a process without samples, and the others wait for it.
            raise FlowBenchError(
                f"{self.trainer.world_size} processes cannot share out {len(samples)} of the pairs of '{self.name}': use "
                f"trainer.devices={len(samples)} or fewer."
            )
        sampler = EvaluationSampler(size=len(samples), share=self._share())
        return self._loader(samples, sampler=sampler, batch_size=self.eval_batch_size)

    def _loader(self, samples: Dataset, **options: Any) -> DataLoader:
        return DataLoader(
            samples,
            num_workers=self.workers,
            collate_fn=FlowBatch.collate,
            worker_init_fn=_start_worker,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            **options,
        )

    def _share(self) -> Share:
        return Share(self.trainer.global_rank, self.trainer.world_size)

    def _split(self, split: str) -> Dataset:
        samples = getattr(self, split)
        if samples is None or len(samples) == 0:
            raise FlowBenchError(
                f"The data '{self.name}' has no {split} pairs: check its folder and its split, or choose other data."
            )
        return samples


def _start_worker(worker: int) -> None:
    # Each worker is one process of many: OpenCV's own threads would fight over the cores.
    cv2.setNumThreads(0)
