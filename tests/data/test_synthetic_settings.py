"""Settings of the built-in scenes' stages and of their validation, as users type them."""

import pytest
from support.runs import SMALL, run_here

from flowbench.engine.contact_sheet import contact_sheet
from flowbench.engine.train import train


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("data.first={until: 1}", "data.first has until: it needs until"),
        ("data.first={scenes: {size: [64, 64]}}", "data.first has scenes: it needs until"),
        ("data.first={until: 1, scenes: {}, steps: 3}", "data.first has scenes, steps, until: it needs until"),
        ("data.first={until: 1, scenes: 3}", "data.first.scenes=3: settings of scenes are needed"),
        (
            "data.first={until: 1, scenes: {sizes: [64, 64]}}",
            "data.first.scenes has no sizes: choose from effects, layers",
        ),
        ("data.first={until: 9, scenes: {}}", "lasts until step 9, but the run has 1 steps and would see nothing else"),
        ("data.scenes.shares.thin=abc", "data.scenes.shares.thin=abc: a number is needed"),
        ("schedule.hours=inf", "schedule.hours=inf: a number of hours above zero"),
        ("data.evaluated={count: 3}", "data.evaluated has no count: choose from effects, layers"),
        ("data.evaluated={size: 64}", "size is 64: give [height, width]"),
        ("data.scenes.max_displacement=inf", "max_displacement is inf: give pixels"),
    ],
)
def test_senseless_stages_and_scenes_end_in_a_sentence(tmp_path, word, told):
    words = ("model=fastflownet", *SMALL, "schedule.steps=1", "callbacks.progress=null", word)
    ended = run_here(train, "train", *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.code == 1
    assert told in ended.told
    assert "cannot be made" not in ended.told


def test_the_share_of_cutouts_is_a_number(tmp_path):
    words = ("count=1", "width=64", "data.scenes.size=[64,64]", "data.scenes.shares.cutouts=0.2")
    ended = run_here(contact_sheet, "contact_sheet", *words, f"hydra.run.dir={tmp_path}")
    assert ended.code == 0, ended.told
