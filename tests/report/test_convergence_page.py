"""The page holds the figures that it is given, whatever never comes under a tolerance."""

import re

import numpy as np

from flowbench.report.convergence_page import (
    ConvergencePage,
    FirstSteps,
    PartFigures,
    RuleFigures,
    write_convergence_page,
)


def first_steps(tolerance, channels, *, never=0.25):
    by_pixel = np.arange(24.0).reshape(4, 6)
    by_pixel[0, 0] = np.inf
    by_channel = np.stack([np.arange(channels) + offset for offset in (1.0, 2.0, 3.0)])
    by_channel[2, -1] = np.inf
    return FirstSteps(tolerance, by_pixel, by_channel, np.array([0.5, 0.25, 0.0]), never)


def part(name, channels, *tolerances):
    decay = 0.5 ** np.arange(3)
    return PartFigures(
        name=name,
        first_steps=[first_steps(tolerance, channels) for tolerance in tolerances],
        channel_energy=np.full(channels, 1 / channels),
        changes=decay,
        relative_changes=decay / 10,
        cumulative_energy=1 - decay / 4,
    )


def written(path, *tolerances):
    page = ConvergencePage(
        title="How <it> converges",
        notes=["one & two"],
        image=np.zeros((4, 6, 3), np.uint8),
        flow=np.ones((4, 6, 2), np.float32),
        parts=[part("hidden state", 5, *tolerances), part("coordinates", 2, *tolerances)],
        rules=[RuleFigures(name, "shares", {"layer": [0.0, 0.5, 1.0]}) for name in ("element", "pixel")],
        rule_notes=["<rule>"],
        summary=[{"part": "hidden state", "never (%)": 12.5}],
        left_out=[{"layer": "layer", "share": 0.75}],
    )
    write_convergence_page(path, page)
    return path.read_text(encoding="utf-8")


def test_plots_of_every_part_and_tolerance_are_there_and_nothing_is_asked_of_the_network(tmp_path):
    text = written(tmp_path / "page.html", 0.01, 0.001)
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)
    for words in ("How &lt;it&gt; converges", "one &amp; two", "&lt;rule&gt;", "12.5", "0.75"):
        assert words in text
    for name in ("hidden state", "coordinates"):
        for tolerance in ("0.01", "0.001"):
            assert f"% of the {name} first under {tolerance} against step, 3 bars" in text
            assert f"{name} under {tolerance}: 25.0%" in text
    assert text.count("<svg") == 2 + 4 + 2 + 3 + 2
    assert "coordinates, under 0.01: medians of the channels 2, 3." in text


def test_one_tolerance_under_which_no_pixel_comes_is_drawn_too(tmp_path, monkeypatch):
    everywhere = np.full((4, 6), np.inf)
    monkeypatch.setitem(
        globals(),
        "first_steps",
        lambda *given: FirstSteps(given[0], everywhere, np.full((3, given[1]), np.inf), np.zeros(3), 1.0),
    )
    text = written(tmp_path / "page.html", 1e-9)
    assert "coordinates under 1e-09: 100.0%" in text
    assert "medians of the channels never, never." in text
