"""An equilibrium network learns a sine: `python -m examples.sine`. A page shows how its states converge."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from examples.program import count, run
from examples.sine.page import STILL, SineFigures, write_sine_page
from examples.sine.training import EPOCHS, fit_sine, new_network


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, prints the statistics, and writes `sine.html`."""
    parser = argparse.ArgumentParser(prog="python -m examples.sine", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/demos"), help="folder of the page")
    parser.add_argument("--epochs", type=count, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    run(_demonstrate, parser.parse_args(arguments))


def _demonstrate(arguments: argparse.Namespace) -> None:
    network = new_network(arguments.seed)
    history = fit_sine(network, arguments.epochs)
    figures = SineFigures.of(network)
    page = arguments.output / "sine.html"
    write_sine_page(page, figures, history)
    print(f"loss before the last update  {history[-1].loss:.3e}")
    print(f"largest singular value       {network.largest_singular_value.item():.4f}")
    for step in (1, 5, 10, 15):
        print(f"mean squared error, {step:2} steps {figures.errors[step - 1].item():.3e}")
    print(f"mean first step under {STILL}   {figures.first_still.double().mean().item():.2f}")
    print(f"page                         {page}")


if __name__ == "__main__":
    main()
