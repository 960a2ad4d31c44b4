"""Steps and shares have the colours of their scale."""

from xml.etree import ElementTree

import numpy as np

from flowbench.report.colour import UNKNOWN_GREY
from flowbench.report.heat_map import share_map_svg, steps_scale_image, steps_to_image


def test_a_step_has_the_colour_of_its_place_on_the_scale():
    scale = steps_scale_image(256, 1)[0]
    image = steps_to_image(np.array([[1, 6, 11, 40]]), 11)[0]
    # Half of 255 rounds to 128.
    assert image.tolist() == [scale[0].tolist(), scale[128].tolist(), scale[255].tolist(), scale[255].tolist()]


def test_a_step_that_never_comes_is_grey_which_the_scale_lacks():
    image = steps_to_image(np.array([[np.inf, np.nan, 3.0]]), 5)[0]
    assert image[:2].tolist() == [[UNKNOWN_GREY] * 3] * 2
    assert not (steps_scale_image(256, 1) == UNKNOWN_GREY).all(axis=-1).any()


def test_every_row_has_a_cell_a_step_that_tells_its_share_in_the_colour_of_the_scale():
    rows = {"<first>": [0.0, 0.5, 1.0], "second": [1.0, 0.25, 0.0]}
    root = ElementTree.fromstring(share_map_svg(rows, x="step", title="shares & more"))
    cells = [rect for rect in root.iter("rect") if len(rect)]
    told = [cell[0].text for cell in cells]
    assert told == [
        f"{name}, step {step}: {100 * share:.1f}%"
        for name, shares in rows.items()
        for step, share in enumerate(shares, start=1)
    ]
    colours = {share: bytes(colour.tolist()).hex() for share, colour in zip((0.0, 1.0), steps_scale_image(2, 1)[0])}
    for cell, share in zip(cells, [*rows["<first>"], *rows["second"]], strict=True):
        if share in colours:
            assert cell.get("fill") == f"#{colours[share]}"
    places = [float(cell.get("x")) for cell in cells]
    assert places[:3] == places[3:] == sorted(places[:3])
    names = [text.text for text in root.iter("text") if text.get("text-anchor") == "end"]
    assert names[-2:] == list(rows)


def test_so_many_steps_are_numbered_as_there_is_room_for():
    for steps in (1, 7, 60, 400):
        root = ElementTree.fromstring(share_map_svg({"layer": [0.5] * steps}, x="step", title="shares"))
        numbers = [
            (float(text.get("x")), int(text.text))
            for text in root.iter("text")
            if text.get("text-anchor") == "middle" and text.text.isdigit()
        ]
        assert numbers[0][1] == 1
        assert len(numbers) <= 16
        assert numbers == sorted(numbers)
