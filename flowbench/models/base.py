"""The LightningModule of every family: a network with its objective, its padder, its optimisation and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypedDict, Unpack

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Metric

from flowbench.checkpoints.read import NEWEST_VERSION, SETTINGS, VERSION
from flowbench.errors import FlowBenchError
from flowbench.metrics import FlowMetrics, sample_sums
from flowbench.models.cascade import Cascade, CascadeLike, chosen_cascade
from flowbench.models.images import ImageLike, image_batch
from flowbench.models.sequences import WarmStart
from flowbench.models.sizes import Sizes, estimation_size, resized_image
from flowbench.models.tiles import Tiles, chosen_tiles
from flowbench.networks.base import FlowNetwork, IterativeNetwork, whole_number
from flowbench.objectives import Objective
from flowbench.ops.padding import InputPadder, Padder, resized_flow
from flowbench.structures import EvalProtocol, FlowBatch, FlowOutput, ImageSizeError, NonFiniteLossError

# What an optimiser takes: parameters, or groups of them with settings of their own.
Parameters = Iterable[nn.Parameter] | list[dict[str, Any]]

Number = Tensor | float

# The setting of a checkpoint that holds the [height, width] of training samples.
TRAINING_SIZE = "training_size"
# Far above any network's stride; a damaged setting must not pad images to any size.
_LARGEST_MULTIPLE = 4096


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """How training moves the weights.

    Args:
        optimizer: Makes the optimiser of the parameters.
        lr_scheduler: Makes the schedule of the learning rate of the optimiser; it is moved once per step.
        freeze_batch_norm: Whether batch norms keep their statistics, as in eval mode.
        no_weight_decay: Parameters without weight decay, by the last part of their names, such as bias.
    """

    optimizer: Callable[[Parameters], torch.optim.Optimizer]
    lr_scheduler: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler]
    freeze_batch_norm: bool = True
    no_weight_decay: Sequence[str] = ()

    def parameters(self, network: nn.Module) -> Parameters:
        """The parameters for the optimiser: all of them, in two groups where some have no weight decay."""
        if not self.no_weight_decay:
            return network.parameters()
        own_names = {parameter: name.rpartition(".")[2] for name, parameter in network.named_parameters()}
        for name in set(self.no_weight_decay) - set(own_names.values()):
            raise FlowBenchError(
                f"no_weight_decay names '{name}', but the network's parameters are called "
                f"{', '.join(sorted(set(own_names.values())))}: choose from these."
            )
        groups: list[dict[str, Any]] = [{"params": []}, {"params": [], "weight_decay": 0.0}]
        for parameter, name in own_names.items():
            groups[name in self.no_weight_decay]["params"].append(parameter)
        return groups


class _Needed(TypedDict):
    name: str
    objective: Objective
    padder: Padder


class ModelParts(_Needed, total=False):
    """The arguments of every FlowModel but its network."""

    optimisation: Optimisation | None
    settings: Mapping[str, Any] | None


class FlowModel(pl.LightningModule):
    """A network with its objective, its padding or resizing of images, and its metrics.

    Subclasses add what is particular to a family, for instance which official checkpoints it reads.

    Args:
        name: The model's name in conf/model.
        network: Estimates the flow.
        objective: The loss that training minimises.
        padder: Pads or resizes images of any size to one that the network takes.
        optimisation: How training moves the weights; a model that only estimates needs none.
        settings: What its checkpoints remember: the plain config of the model, as "model", and of the data that it is
            trained on. `flowbench.engine.config.models.build_model` gives it.

    Raises FlowBenchError where the padder's sizes are not multiples of the network's stride.
    """

    network: FlowNetwork

    def __init__(
        self,
        *,
        name: str,
        network: FlowNetwork,
        objective: Objective,
        padder: Padder,
        optimisation: Optimisation | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= padder.multiple <= _LARGEST_MULTIPLE or padder.multiple % network.stride:
            raise FlowBenchError(
                f"The padder makes sizes multiples of {padder.multiple}: {name} takes images in multiples of "
                f"{network.stride}, and of at most {_LARGEST_MULTIPLE:,}."
            )
        self.name = name
        self.network = network
        self.objective = objective
        self.padder = padder
        # Used where a protocol says nothing.
        self._own_padder, self._own_updates = padder, self.iterations
        self.metrics = FlowMetrics()
        self.optimisation = optimisation
        self.settings = dict(settings or {})

    # Network settings that weights depend on, even where their shapes do not show it.
    weights_depend_on: tuple[str, ...] = ()
    # Whether an estimate takes a fixed number of updates, which a data set's protocol may then set.
    updates_are_fixed = False
    # Metrics that validation logs besides FlowMetrics, as "val/...".
    validation_figures: tuple[str, ...] = ()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[SETTINGS] = self.settings
        checkpoint[VERSION] = NEWEST_VERSION

    @staticmethod
    def from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The network's state dict from the one that the family's authors publish."""
        raise FlowBenchError("This family has no official checkpoints: give one that FlowBench wrote.")

    @classmethod
    def official_changes(cls, config: Mapping[str, Any], state: dict[str, Tensor]) -> dict[str, Any]:
        """Changes of a model's plain config that make the published state dict fit.

        Raises FlowBenchError where no change can make it fit.
        """
        return {}

    @classmethod
    def changes_for_weights_of(cls, config: Mapping[str, Any], remembered: Mapping[str, Any]) -> dict[str, Any] | None:
        """Changes of a model's plain config that make the weights of another of our models fit.

        Args:
            config: The config of the model that is to be made.
            remembered: The config of the model that the weights belong to.

        Returns None where the weights are not for this model.
        """
        return None

    @property
    def iterations(self) -> int | None:
        """How many updates an estimate takes; None for a network that does not iterate."""
        return self.network.eval_iterations

    def set_iterations(self, iterations: int | None) -> None:
        """Sets how many updates an estimate takes; None for as many as the network was made with."""
        iterations = self._own_updates if iterations is None else iterations
        if iterations is None or not isinstance(self.network, IterativeNetwork):
            raise FlowBenchError(f"{self.name} does not iterate: leave iterations out.")
        self.network.eval_iterations = whole_number("iterations", iterations)

    def follow(self, protocol: EvalProtocol) -> None:
        """Makes all further estimates under a data set's protocol; an earlier protocol has no effect on them."""
        self.padder = self._own_padder
        if protocol.padding is not None and isinstance(self.padder, InputPadder):
            self.padder = replace(self.padder, mode=protocol.padding)
        if self.updates_are_fixed:
            self.set_iterations(protocol.updates)

    def estimate(
        self,
        image1: ImageLike,
        image2: ImageLike,
        reuse: Any = None,
        cascade: CascadeLike = None,
        **sizes: Unpack[Sizes],
    ) -> FlowOutput:
        """Flow between images of any size, in eval mode, without gradients.

        Args:
            image1: One image or a batch of images of one size, as `image_batch` takes them: arrays (H, W, 3) or
                (B, H, W, 3), tensors (3, H, W) or (B, 3, H, W), PIL images, or paths; grey and RGBA, too. uint8 means 0 to
                255, uint16 0 to 65535, floating point 0 to 1.
            image2: As image1.
            reuse: FlowOutput.reuse of the previous pair.
            cascade: Coarse-to-fine estimates: the factors by which the images are shrunk, such as [4, 2, 1]; "auto" for as
                many halvings as bring them to the training size; None for a plain estimate.
            sizes: scale and max_side, of which one at most, for estimates at another size, and tile and overlap for
                estimates in bounded memory, see `Sizes`.

        Returns flow (B, 2, H, W), pixels at the images' own size. Raises FlowBenchError for values outside these ranges,
        other shapes, and images that differ in size.
        """
        return self.estimate_batch(self._as_batch(image1), self._as_batch(image2), reuse, cascade, **sizes)

    @torch.no_grad()
    def estimate_batch(
        self,
        image1: Tensor,
        image2: Tensor,
        reuse: Any = None,
        cascade: CascadeLike = None,
        *,
        scale: float | None = None,
        max_side: int | None = None,
        tile: int | None = None,
        overlap: int | None = None,
    ) -> FlowOutput:
        """`estimate` for images as FlowBatch holds them. Their values are not checked: that would wait for a GPU.

        Args:
            image1: (B, 3, H, W) RGB in [0, 1].
            image2: As image1.
            reuse: FlowOutput.reuse of the previous pair.
            cascade: As of `estimate`.
            scale, max_side, tile, overlap: As `Sizes` has them.
        """
        parameter = next(self.parameters())
        image1, image2 = (image.to(device=parameter.device, dtype=parameter.dtype) for image in (image1, image2))
        if image1.shape != image2.shape:
            raise FlowBenchError(_difference(image1, image2))
        height, width = image1.shape[-2:]
        size = estimation_size((height, width), scale=scale, max_side=max_side)
        tiles = chosen_tiles(tile, overlap, self.padder.multiple)
        chosen = self._cascade_for(cascade, size)
        if reuse is not None and (chosen or tiles):
            raise FlowBenchError(
                "A cascade or tiles cannot begin at the flow of the pair before: leave out warm_start, or cascade and tile."
            )
        image1, image2 = resized_image(image1, size), resized_image(image2, size)
        was_training = self.training
        self.eval()
        try:
            if chosen is None:
                output = self._estimate_at_size(image1, image2, reuse, tiles)
            else:
                output = chosen.estimate(partial(self._estimate_at_size, tiles=tiles), image1, image2)
        finally:
            self.train(was_training)
        if size != (height, width):
            output.flow = resized_flow(output.flow, height, width)
        return output

    def warm_started(self, **sizes: Unpack[Sizes]) -> WarmStart:
        """Estimates of a video's pairs, each from the one before. Raises FlowBenchError for a network that cannot."""
        if not self.network.warm_startable:
            raise FlowBenchError(f"{self.name} cannot start from the previous pair: leave warm_start out.")
        return WarmStart(partial(self.estimate, **sizes))

    def _estimate_at_size(
        self, image1: Tensor, image2: Tensor, reuse: Any = None, tiles: Tiles | None = None
    ) -> FlowOutput:
        height, width = image1.shape[-2:]
        # Tiles are cut last: what a mean over the image or its padding changes stays as it is without them.
        padded = self.padded(image1, image2)
        if tiles is None:
            output = self.network(*padded, reuse, normalised=True)
        else:
            output = tiles.estimate(partial(self.network, normalised=True), *padded)
        output.flow = self.padder.unpad(output.flow, height, width)
        return output

    def _cascade_for(self, cascade: CascadeLike, size: Sequence[int]) -> Cascade | None:
        chosen = chosen_cascade(cascade)
        if chosen is None or isinstance(chosen, Cascade):
            return chosen
        if TRAINING_SIZE not in self.settings:
            raise FlowBenchError(
                "cascade=auto shrinks images to the size that the network was trained on, which this checkpoint does not "
                "say: give the factors, such as cascade=[4,2,1]."
            )
        return Cascade.for_size(size, self.settings[TRAINING_SIZE])

    def flows_after_steps(self, image1: ImageLike, image2: ImageLike) -> Iterator[Tensor]:
        """The flow that `estimate` would return if it ended after step 1, 2, ...; empty for a family without such steps."""
        return iter(())

    def padded(self, image1: Tensor, image2: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) in [0, 1] -> the network's input: normalised, then padded or resized.

        In this order, because padding or resizing would change a mean over the images.
        """
        image1, image2 = self.network.normalise(image1, image2)
        return self.padder.pad(image1), self.padder.pad(image2)

    def _as_batch(self, image: ImageLike) -> Tensor:
        parameter = next(self.parameters())
        return image_batch(image, device=parameter.device, dtype=parameter.dtype)

    def train(self, mode: bool = True) -> FlowModel:
        super().train(mode)
        if self.optimisation is not None and self.optimisation.freeze_batch_norm:
            for module in self.modules():
                # Lightning's sync_batchnorm replaces BatchNorm2d by SyncBatchNorm.
                if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
                    module.eval()
        return self

    def on_train_start(self) -> None:
        # Lightning does not call `train` itself: it trains in the mode that it finds, and a new module's is set without it.
        self.train()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        if self.optimisation is None:
            raise FlowBenchError(
                f"{self.name} was made without an optimisation, which training needs: give FlowModel its `optimisation`."
            )
        try:
            optimizer = self.optimisation.optimizer(self.optimisation.parameters(self.network))
            scheduler = self.optimisation.lr_scheduler(optimizer)
        except (TypeError, ValueError) as error:
            raise FlowBenchError(f"The optimiser or its schedule of learning rates cannot be made: {error}.") from error
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch: FlowBatch, batch_index: int) -> Tensor:
        self._check_size(batch)
        self.settings[TRAINING_SIZE] = list(batch.image1.shape[-2:])
        output = self.network(batch.image1, batch.image2)
        loss, terms = self.objective(output, batch)
        self.log_training(output, batch, terms)
        if output.regularisation is not None:
            loss = loss + output.regularisation
        if not torch.isfinite(loss):
            raise NonFiniteLossError(
                f"The loss became {loss.item()} at step {self.global_step}, on the samples {', '.join(batch.key)}: look at "
                "these samples, lower the learning rate, or train in 32-bit precision."
            )
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch))
        error = (output.flow.detach() - batch.flow).square().sum(dim=1).sqrt()[batch.valid]
        total, count = self._over_processes(error.sum(), error.numel())
        if count > 0:
            self.log("train/epe", total / count, prog_bar=True, batch_size=len(batch))
        return loss

    def log(self, name: str, value: Metric | Number, *args: Any, **options: Any) -> None:
        """As Lightning's, but numbers logged as "train/..." are means over all processes."""
        if name.startswith("train/") and not isinstance(value, Metric):
            total, count = self._over_processes(value, 1)
            value = total / count
        super().log(name, value, *args, **options)

    def _over_processes(self, total: Number, count: Number) -> tuple[Number, Number]:
        """Both summed over all processes, at the steps that are logged; at others, which need no exchange, unchanged."""
        alone = not (dist.is_available() and dist.is_initialized())
        if alone or (self.global_step + 1) % log_interval(self.trainer):
            return total, count
        own = [torch.as_tensor(number, dtype=torch.float32, device=self.device) for number in (total, count)]
        total, count = self.trainer.strategy.reduce(torch.stack(own).detach(), reduce_op="sum")
        return total, count

    def log_training(self, output: FlowOutput, batch: FlowBatch, terms: Sequence[Tensor]) -> None:
        """Logs a family's own numbers of a training step, besides the loss and the error.

        Args:
            output: The network's.
            batch: The training samples.
            terms: The objective's terms, scalars in the order of `output.predictions`, not yet weighted.
        """

    def estimate_settings(self) -> dict[str, Any]:
        """Further settings that an estimate of this family depends on, for the record of an evaluation."""
        return {}

    def _check_size(self, batch: FlowBatch) -> None:
        height, width = batch.image1.shape[-2:]
        if height % self.network.stride or width % self.network.stride:
            raise ImageSizeError(
                f"Training samples are {height}x{width} (height x width), but {self.name} needs multiples of "
                f"{self.network.stride}: crop them."
            )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if (self.global_step + 1) % log_interval(self.trainer) == 0:
            gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
            self.log("train/grad_norm", torch.nn.utils.get_total_norm(gradients))

    def validation_step(self, batch: FlowBatch, batch_index: int) -> None:
        output = self.estimate_batch(batch.image1, batch.image2)
        self.metrics.update(sample_sums(output.flow, batch))

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")

    def test_step(self, batch: FlowBatch, batch_index: int) -> None:
        self.metrics.update(sample_sums(self.estimate_batch(batch.image1, batch.image2).flow, batch))

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def _log_metrics(self, stage: str) -> None:
        metrics = {f"{stage}/{name}": value for name, value in self.metrics.compute().items()}
        self.metrics.reset()
        # They are already those of all processes; sync_dist only tells Lightning so.
        self.log_dict(metrics, sync_dist=True)


def log_interval(trainer: pl.Trainer) -> int:
    """Steps from one that is logged to the next."""
    return trainer.log_every_n_steps  # type: ignore[attr-defined]  # one of the trainer's parts sets it


def as_flow_model(module: pl.LightningModule) -> FlowModel:
    """The module itself, which FlowBench's callbacks need to be a FlowModel. Raises FlowBenchError for any other module."""
    if not isinstance(module, FlowModel):
        raise FlowBenchError(f"A {type(module).__name__} was trained or tested with callbacks that need a FlowModel.")
    return module


def _difference(image1: Tensor, image2: Tensor) -> str:
    if image1.shape[-2:] == image2.shape[-2:]:
        return f"{len(image1)} first images, but {len(image2)} second ones: each first image needs its second."
    sizes = " and ".join(f"{image.shape[-1]}x{image.shape[-2]}" for image in (image1, image2))
    return f"The two images differ in size ({sizes}): flow needs images of one size."
