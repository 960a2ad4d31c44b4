"""The files that a network is exported to: how each is written, and how it is run again."""

from __future__ import annotations

import importlib
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor
from torch.export import ExportedProgram

from flowbench.errors import FlowBenchError

Runner = Callable[[Tensor, Tensor], Tensor]
INPUTS, OUTPUT = ("image1", "image2"), "flow"


class Format(ABC):
    """suffix: of the files. runtime: what runs them in the comparison with PyTorch. packages: what both need. smallest: side
    that a file for any size takes, px. opset: of ONNX, where the format is that."""

    suffix: str
    runtime: str
    smallest: int = 64
    packages: tuple[str, ...] = ()
    opset: int | None = None

    def check_installed(self) -> None:
        """Raises FlowBenchError where a package is missing."""
        for name in self.packages:
            _installed(name)

    @abstractmethod
    def write(self, program: ExportedProgram, path: Path) -> None: ...

    @abstractmethod
    def load(self, path: Path) -> Runner:
        """What maps image1, image2 (B, 3, H, W) to the flow (B, 2, H, W), as the file does it."""


class Onnx(Format):
    suffix = ".onnx"
    runtime = "onnxruntime"
    packages = ("onnx", "onnxscript", "onnxruntime")
    opset = 20

    def write(self, program: ExportedProgram, path: Path) -> None:
        # Its optimiser takes sums with 1e-12 for sums with zero: a vector of zeros would get the length zero again.
        translated = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=self.opset,
            input_names=INPUTS,
            output_names=[OUTPUT],
            optimize=False,
            verbose=False,
        )
        if translated is None:
            raise RuntimeError("the exporter gave no program")
        _installed("onnxscript").optimizer.fold_constants(translated.model)
        _installed("onnxscript").optimizer.remove_unused_nodes(translated.model)
        translated.save(path, external_data=False)

    def load(self, path: Path) -> Runner:
        session = _installed("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])

        def run(image1: Tensor, image2: Tensor) -> Tensor:
            pictures = dict(zip(INPUTS, (image1.numpy(), image2.numpy()), strict=True))
            return torch.from_numpy(session.run([OUTPUT], pictures)[0])

        return run


class TorchExport(Format):
    suffix = ".pt2"
    runtime = "torch.export"
    # A feature map of one pixel is guarded against, where the trace saw several.
    smallest = 128

    def write(self, program: ExportedProgram, path: Path) -> None:
        torch.export.save(program, path)

    def load(self, path: Path) -> Runner:
        return torch.export.load(path).module()


FORMATS: dict[str, Format] = {"onnx": Onnx(), "torch_export": TorchExport()}


def _installed(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise FlowBenchError(
            f"The package {name} is missing, which format=onnx needs: pip install 'optical-flowbench[onnx]'."
        ) from error


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Without the exporters' log lines on their own progress, of packages that are not needed, and of deprecations."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
