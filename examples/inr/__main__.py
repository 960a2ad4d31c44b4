"""A photograph as the equilibrium of a small network, with and without the delta rule: `python -m examples.inr`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch
from rich.console import Console

from examples.inr.measure import COMPARABLE, cheapest_comparable, measure, saved
from examples.inr.network import FREQUENCIES, ImplicitImage, InrSettings, Kind
from examples.inr.page import comparison, table_rows, write_inr_page
from examples.inr.training import fit_image
from examples.program import count, run
from flowbench.io import read_image, write_image
from flowbench.ops.delta.convolution import Delta
from flowbench.report.drawing import scaled
from flowbench.report.table import print_table, rows_table

_PHOTOGRAPH = Path(__file__).resolve().parents[2] / "assets/tears_of_steel_0890/frame_1.png"
_EPOCHS = 300
_THRESHOLDS = (0.005, 0.01, 0.02, 0.05, 0.1)
_RULES = (
    Delta(rule="element", memory="reference"),
    Delta(rule="element", memory="bounded"),
    Delta(rule="pixel", memory="bounded"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fits the photograph, prints quality and cost of every way of solving, and writes a page and its image."""
    parser = argparse.ArgumentParser(prog="python -m examples.inr", description=__doc__)
    parser.add_argument("--kind", choices=get_args(Kind), default="siren", help="the features of a position")
    parser.add_argument("--image", type=Path, default=_PHOTOGRAPH, help="the photograph")
    parser.add_argument("--width", type=count, default=192, help="in pixels, to which the photograph is scaled")
    parser.add_argument("--epochs", type=count, default=_EPOCHS)
    parser.add_argument("--threshold", type=_threshold, nargs="+", default=_THRESHOLDS, help="of the delta rule")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("outputs/demos"), help="folder of the page")
    run(_demonstrate, parser.parse_args(arguments))


def _threshold(text: str) -> float:
    threshold = float(text)
    if not 0 <= threshold < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: give 0 or more.")
    return threshold


def _demonstrate(arguments: argparse.Namespace) -> None:
    image = scaled(read_image(arguments.image), arguments.width)
    torch.manual_seed(arguments.seed)
    print(f"fitting {image.shape[1]}x{image.shape[0]} pixels, {arguments.epochs} epochs", flush=True)
    network = ImplicitImage(InrSettings(kind=arguments.kind, frequency=FREQUENCIES[arguments.kind]))
    training = fit_image(network, image, arguments.epochs)
    deltas = [replace(rule, threshold=threshold) for rule in _RULES for threshold in arguments.threshold]
    measured = measure(network, image, deltas)
    best = cheapest_comparable(measured)
    share, _ = saved(best, measured[0])
    print_table(rows_table(table_rows(measured)), Console(width=120))
    print(f"cheapest within {COMPARABLE} dB: {best.way}, {share:.1f}% of the solve saved (DeltaDEQ's mark is 84%)")
    settings = {
        "photograph": arguments.image.name,
        "size": f"{image.shape[1]}x{image.shape[0]}",
        "features": arguments.kind,
        "epochs": arguments.epochs,
        "seed": arguments.seed,
    }
    page = arguments.output / f"inr_{arguments.kind}.html"
    write_inr_page(page, image, measured, training, settings)
    write_image(page.with_suffix(".png"), comparison(image, measured[0], best))
    print(f"page {page}, image {page.with_suffix('.png')}")


if __name__ == "__main__":
    main()
