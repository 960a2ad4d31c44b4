"""The classes and functions that a configuration may name, as an explicit table."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

from flowbench.errors import FlowBenchError
from flowbench.plugins import is_of_a_plugin, plugin_parts

Find = Callable[[str], Callable[..., Any]]


def _names(modules: Mapping[str, str]) -> frozenset[str]:
    return frozenset(f"{module}.{name}" for module, names in modules.items() for name in names.split())


# Parts of models and data, which are all that a checkpoint may name. None of them runs code that an argument names, or writes
# to a path that an argument gives; data sets read from such paths.
PARTS = _names(
    {
        "flowbench.data.augmentation.base": "ImageNoise RandomCrop",
        "flowbench.data.datamodule": "FlowDataModule",
        "flowbench.data.augmentation.geometric": "RandomFlip RandomRotate RandomTranslate",
        "flowbench.data.folder_data": "folder_data",
        "flowbench.data.mixing": "Part",
        "flowbench.data.augmentation.photometric": "ColourJitter Eraser",
        "flowbench.data.augmentation.raft": "dense_augmentations sparse_augmentations",
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
        "flowbench.data.augmentation.scaling": "RandomScale",
        "flowbench.data.synthetic_data": "synthetic_data",
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
        "flowbench.ops.delta.convolution": "Delta",
        "flowbench.ops.padding": "InputPadder InputResizer",
    }
)

# Further parts of a training run: the config.yaml of a resumed run may name them, a checkpoint may not.
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

# Modules that have moved: old checkpoints and configs still have the former name.
MOVED: Mapping[str, str] = MappingProxyType(
    {
        "flowbench.data.augmentation": "flowbench.data.augmentation.base",
        "flowbench.data.flownet_augmentation": "flowbench.data.augmentation.geometric",
        "flowbench.data.folder": "flowbench.data.folder_data",
        "flowbench.data.photometric": "flowbench.data.augmentation.photometric",
        "flowbench.data.raft_augmentation": "flowbench.data.augmentation.raft",
        "flowbench.data.scenes.dataset": "flowbench.data.scenes",
        "flowbench.data.spatial": "flowbench.data.augmentation.scaling",
        "flowbench.data.synthetic": "flowbench.data.synthetic_data",
        "flowbench.deq.anderson": "flowbench.deq",
        "flowbench.deq.broyden": "flowbench.deq",
        "flowbench.deq.corrections": "flowbench.deq",
        "flowbench.deq.fixed_point": "flowbench.deq",
        "flowbench.deq.gradients": "flowbench.deq",
        "flowbench.deq.jacobian": "flowbench.deq",
        "flowbench.deq.layer": "flowbench.deq",
        "flowbench.engine.callbacks": "flowbench.engine.training.callbacks",
        "flowbench.engine.loggers": "flowbench.engine.training.loggers",
        "flowbench.engine.saving": "flowbench.engine.training.checkpoints",
        "flowbench.engine.skipped_pairs": "flowbench.engine.training.skipped_pairs",
        "flowbench.ops.delta": "flowbench.ops.delta.convolution",
        "flowbench.ops.fitting": "flowbench.ops.padding",
    }
)

# Renamed classes and functions, under their module's present name.
RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "flowbench.deq.Indexing": "flowbench.deq.IndexedCorrection",
        "flowbench.deq.Sliced": "flowbench.deq.SegmentedCorrection",
        "flowbench.ops.padding.Padding": "flowbench.ops.padding.InputPadder",
        "flowbench.ops.padding.Resizing": "flowbench.ops.padding.InputResizer",
        "pytorch_lightning.loggers.TensorBoardLogger": "flowbench.engine.training.loggers.tensorboard_logger",
    }
)


def current(name: str) -> str:
    """The name under which the table has an object."""
    module, _, own = name.rpartition(".")
    moved = f"{MOVED.get(module, module)}.{own}"
    return RENAMED.get(moved, moved)


def find_part(name: str, also: Collection[str] = ()) -> Callable[..., Any]:
    """The part of a model or of data that somebody else's file names.

    Args:
        name: a dotted name.
        also: names in the user's own configuration, which are therefore trusted.

    Raises FlowBenchError for any other.
    """
    if current(name) in PARTS:
        return _imported(current(name))
    if name in also or name in plugin_parts():
        return find_own(name)
    package = name.partition(".")[0]
    # Nobody is led to name what cannot be a plug-in.
    possible = package not in sys.stdlib_module_names and package != "flowbench"
    remedy = f" If it is of a plug-in that you trust, add plugins={package};" if possible else ""
    raise FlowBenchError(
        f"The target '{name}' is refused: a checkpoint may only name FlowBench's own models and data.{remedy} "
        f"{'if' if possible else 'If'} it is a model that you added yourself, model=<name>."
    )


def find_own(name: str) -> Callable[..., Any]:
    """What the user's own configuration names: an entry of the table, or what a module of the package or of a plug-in
    defines."""
    if current(name) in PARTS | TRAINING:
        return _imported(current(name))
    module, _, own = name.rpartition(".")
    if _is_own(module):
        try:
            found = getattr(importlib.import_module(module), own, None)
        except ModuleNotFoundError as error:
            raise FlowBenchError(f"The target '{name}' is not there: {error}.") from error
        # A name that a module imported from elsewhere is not the package's own.
        if callable(found) and _is_own(str(getattr(found, "__module__", ""))):
            return found
    raise FlowBenchError(
        f"The target '{name}' is refused: a config may only name what flowbench and the plug-ins of plugins=<package> "
        "define, and the optimisers, schedulers and callbacks that flowbench/targets.py lists."
    )


def _is_own(module: str) -> bool:
    return module.split(".")[0] == "flowbench" or is_of_a_plugin(module)


def _imported(name: str) -> Callable[..., Any]:
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)
