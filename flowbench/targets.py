"""The classes and functions that a configuration may name, as an explicit table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

from flowbench.errors import FlowBenchError

Find = Callable[[str], Callable[..., Any]]


def _names(modules: Mapping[str, str]) -> frozenset[str]:
    return frozenset(f"{module}.{name}" for module, names in modules.items() for name in names.split())


# What a model or its data is made of, and all that a checkpoint may name. Nothing here runs what an argument names or writes
# where one says; data sets read.
PARTS = _names(
    {
        "flowbench.data.augmentation": "ImageNoise RandomCrop",
        "flowbench.data.datamodule": "FlowDataModule",
        "flowbench.data.flownet_augmentation": "RandomFlip RandomRotate RandomTranslate",
        "flowbench.data.folder": "folder_data",
        "flowbench.data.mixing": "Part",
        "flowbench.data.photometric": "ColourJitter Eraser",
        "flowbench.data.raft_augmentation": "dense_augmentations sparse_augmentations",
        "flowbench.data.scenes": "SyntheticScenes",
        "flowbench.data.sets.chairs": "Chairs",
        "flowbench.data.sets.folder": "Folder",
        "flowbench.data.sets.hd1k": "Hd1k",
        "flowbench.data.sets.kitti": "Kitti Kitti2012",
        "flowbench.data.sets.middlebury": "Middlebury",
        "flowbench.data.sets.sintel": "Sintel",
        "flowbench.data.sets.spring": "Spring",
        "flowbench.data.sets.tartanair": "TartanAir",
        "flowbench.data.sets.things": "Things",
        "flowbench.data.spatial": "RandomScale",
        "flowbench.data.synthetic": "synthetic_data",
        "flowbench.deq": "Anderson Broyden DEQ Damped FixedPoint ImplicitGradient IndexedCorrection JacobianPenalty "
        "PhantomGradient SegmentedCorrection",
        "flowbench.models.base": "FlowModel",
        "flowbench.models.deltadeq": "DeltaDEQModel",
        "flowbench.models.deqflow": "DEQFlowModel",
        "flowbench.models.fastflownet": "FastFlowNetModel",
        "flowbench.models.lightflow": "LightFlowModel",
        "flowbench.models.raft": "RAFTModel",
        "flowbench.networks.deltadeq": "deltadeq",
        "flowbench.networks.deqflow": "deqflow",
        "flowbench.networks.fastflownet": "FastFlowNet",
        "flowbench.networks.lightflow": "LightFlow",
        "flowbench.networks.raft": "raft raft_h raft_small",
        "flowbench.objectives": "MultiLevelLoss SequenceLoss",
        "flowbench.ops.delta": "Delta",
        "flowbench.ops.fitting": "Padding Resizing",
    }
)

# What a training run needs besides: a config.yaml that is resumed may name it, a checkpoint may not.
TRAINING = _names(
    {
        "flowbench.engine.training.callbacks": "Throughput TrainingProgress ValidationPictures",
        "flowbench.engine.training.loggers": "tensorboard_logger wandb_logger",
        "flowbench.engine.training.checkpoints": "BestCheckpoint LastCheckpoint",
        "flowbench.engine.training.skipped_pairs": "SkippedPairs",
        "flowbench.models.base": "Optimisation",
        "flowbench.schedules": "multi_step_epochs one_cycle",
        "pytorch_lightning": "Trainer",
        "pytorch_lightning.callbacks": "DeviceStatsMonitor EarlyStopping LearningRateMonitor ModelSummary RichModelSummary "
        "RichProgressBar StochasticWeightAveraging TQDMProgressBar",
        "torch.optim": "ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax NAdam RAdam RMSprop Rprop SGD",
        "torch.optim.lr_scheduler": "ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR "
        "LinearLR MultiStepLR OneCycleLR PolynomialLR StepLR",
    }
)

# Where names of older files, and other names of the same object, have gone.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "flowbench.data.scenes.dataset.SyntheticScenes": "flowbench.data.scenes.SyntheticScenes",
        "flowbench.deq.anderson.Anderson": "flowbench.deq.Anderson",
        "flowbench.deq.broyden.Broyden": "flowbench.deq.Broyden",
        "flowbench.deq.Indexing": "flowbench.deq.IndexedCorrection",
        "flowbench.deq.Sliced": "flowbench.deq.SegmentedCorrection",
        "flowbench.deq.corrections.IndexedCorrection": "flowbench.deq.IndexedCorrection",
        "flowbench.deq.corrections.Indexing": "flowbench.deq.IndexedCorrection",
        "flowbench.deq.corrections.SegmentedCorrection": "flowbench.deq.SegmentedCorrection",
        "flowbench.deq.corrections.Sliced": "flowbench.deq.SegmentedCorrection",
        "flowbench.deq.fixed_point.Damped": "flowbench.deq.Damped",
        "flowbench.deq.fixed_point.FixedPoint": "flowbench.deq.FixedPoint",
        "flowbench.deq.gradients.ImplicitGradient": "flowbench.deq.ImplicitGradient",
        "flowbench.deq.gradients.PhantomGradient": "flowbench.deq.PhantomGradient",
        "flowbench.deq.jacobian.JacobianPenalty": "flowbench.deq.JacobianPenalty",
        "flowbench.deq.layer.DEQ": "flowbench.deq.DEQ",
        "flowbench.engine.callbacks.Throughput": "flowbench.engine.training.callbacks.Throughput",
        "flowbench.engine.callbacks.TrainingProgress": "flowbench.engine.training.callbacks.TrainingProgress",
        "flowbench.engine.callbacks.ValidationPictures": "flowbench.engine.training.callbacks.ValidationPictures",
        "flowbench.engine.loggers.tensorboard_logger": "flowbench.engine.training.loggers.tensorboard_logger",
        "flowbench.engine.loggers.wandb_logger": "flowbench.engine.training.loggers.wandb_logger",
        "flowbench.engine.saving.BestCheckpoint": "flowbench.engine.training.checkpoints.BestCheckpoint",
        "flowbench.engine.saving.LastCheckpoint": "flowbench.engine.training.checkpoints.LastCheckpoint",
        "flowbench.engine.skipped_pairs.SkippedPairs": "flowbench.engine.training.skipped_pairs.SkippedPairs",
        "pytorch_lightning.loggers.TensorBoardLogger": "flowbench.engine.training.loggers.tensorboard_logger",
    }
)


def current(name: str) -> str:
    """The name under which the table has an object."""
    return ALIASES.get(name, name)


def find_part(name: str, also: Collection[str] = ()) -> Callable[..., Any]:
    """The part of a model or of data that somebody else's file names.

    also: names that the user's own configuration holds, and thereby vouches for. Raises FlowBenchError for any other.
    """
    if current(name) in PARTS:
        return _imported(current(name))
    if name in also:
        return find_own(name)
    raise FlowBenchError(
        f"The target '{name}' is refused: a checkpoint may only name FlowBench's own models and data. If it is a model that "
        "you added yourself, say so with model=<name>."
    )


def find_own(name: str) -> Callable[..., Any]:
    """What the user's own configuration names: an entry of the table, or what a module of the package defines."""
    if current(name) in PARTS | TRAINING:
        return _imported(current(name))
    module, _, own = name.rpartition(".")
    if module.split(".")[0] == "flowbench":
        try:
            found = getattr(importlib.import_module(module), own, None)
        except ModuleNotFoundError as error:
            raise FlowBenchError(f"The target '{name}' is not there: {error}.") from error
        # A name that a module imported from elsewhere is not the package's own.
        if callable(found) and str(getattr(found, "__module__", "")).split(".")[0] == "flowbench":
            return found
    raise FlowBenchError(
        f"The target '{name}' is refused: a config may only name what flowbench defines, and the optimisers, schedulers and "
        "callbacks that flowbench/targets.py lists."
    )


def _imported(name: str) -> Callable[..., Any]:
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)
