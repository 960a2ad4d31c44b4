"""The page of the sine demonstration, with its four figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from examples.sine.network import STEPS, UNITS, SineNetwork
from examples.sine.state_analysis import dimensions_a_step, explained_variance, first_still_step, movements
from examples.sine.training import Epoch, sine_points
from flowbench.report.charts import LinePlot, StepBars
from flowbench.report.line_plot import Line
from flowbench.report.page import Plots, note, plots, section, write_page

STILL = 0.01
_FITS_AFTER = (1, 5, 10, 15)
_COMPONENTS = 10
# A point near the crest of the sine, where the answer is far from that of the first steps.
_FOLLOWED = 125


@dataclass(frozen=True)
class SineFigures:
    """The data of the figures.

    Args:
        x: (N, 1).
        y: (N, 1), sin x.
        fits: (STEPS, N), the output after each step.
        states: (STEPS, N, UNITS).
    """

    x: Tensor
    y: Tensor
    fits: Tensor
    states: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, network: SineNetwork) -> SineFigures:
        x, y = sine_points(network.output.weight.dtype)
        states = network.states(x)
        return cls(x, y, network.output(states)[..., 0], states)

    @property
    def errors(self) -> Tensor:
        """(STEPS,): the mean squared error after each step."""
        return (self.fits - self.y[:, 0]).square().mean(dim=1)

    @property
    def first_still(self) -> Tensor:
        return first_still_step(self.states, STILL)


def write_sine_page(path: Path, figures: SineFigures, history: Sequence[Epoch]) -> None:
    """Writes the page.

    Args:
        path: of the file.
        figures: the data of the figures.
        history: of the training.

    Raises FlowBenchError where the page cannot be written.
    """
    sections = [
        section("Fits", _fits(figures)),
        section("The space of the states", *_components(figures)),
        section("Dimensions on their way", *_trajectories(figures)),
        section("When a dimension comes to rest", *_rest(figures)),
        section("Training", _training(history)),
    ]
    write_page(path, "An equilibrium that follows a sine", sections)


def _fits(figures: SineFigures) -> Plots:
    x = figures.x[:, 0].tolist()
    lines = [Line(x, figures.y[:, 0].tolist(), "sin x", "sin x")]
    lines += [Line(x, figures.fits[step - 1].tolist(), name, name) for step, name in _named_steps()]
    return plots(LinePlot(lines, x="x", y="answer"))


def _named_steps() -> list[tuple[int, str]]:
    return [(step, f"{step} step" if step == 1 else f"{step} steps") for step in _FITS_AFTER]


def _components(figures: SineFigures) -> tuple[Plots, str]:
    shares = (100 * explained_variance(figures.states)).tolist()
    needed = sum(share < 99 for share in shares) + 1
    lines = [
        Line(range(1, _COMPONENTS + 1), shares[:_COMPONENTS], "explained", "explained"),
        Line([1, _COMPONENTS], [99, 99], "99%", "99%"),
    ]
    explanation = (
        f"{needed} of {UNITS} components explain 99% of the variance of all states, all {STEPS} steps together."
    )
    return plots(LinePlot(lines, x="principal components", y="variance explained (%)")), note(explanation)


def _trajectories(figures: SineFigures) -> tuple[Plots, str]:
    followed = figures.states[:, _FOLLOWED : _FOLLOWED + 1]
    moved = movements(followed)[:, 0]
    steps = range(1, STEPS + 1)
    return plots(
        LinePlot(_dimensions(steps, followed[:, 0]), x="step", y="state"),
        LinePlot(_dimensions(steps[:-1], moved), x="step", y="|change| to the next step", log_y=True),
    ), note(f"All {UNITS} dimensions at x = {figures.x[_FOLLOWED].item():.2f}.")


def _dimensions(steps: Sequence[int], values: Tensor) -> list[Line]:
    return [Line(steps, column.tolist(), f"dimension {number}") for number, column in enumerate(values.T, start=1)]


def _rest(figures: SineFigures) -> tuple[Plots, str]:
    counts = dimensions_a_step(figures.first_still, STEPS).tolist()
    errors = [Line(range(1, STEPS + 1), figures.errors.tolist())]
    return plots(
        StepBars(counts, x="step", y=f"dimensions of {UNITS} first at rest"),
        LinePlot(errors, x="step", y="mean squared error", log_y=True),
    ), note(
        f"At rest: the first step after which a dimension moves less than {STILL}; those that never do are at {STEPS}."
    )


def _training(history: Sequence[Epoch]) -> Plots:
    epochs = range(len(history))
    return plots(
        LinePlot([Line(epochs, [epoch.loss for epoch in history])], x="epoch", y="loss", log_y=True),
        LinePlot([Line(epochs, [epoch.sigma for epoch in history])], x="epoch", y="largest singular value"),
    )
