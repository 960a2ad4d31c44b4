import argparse
import re
from dataclasses import fields

import pytest

from flowbench.deq import (
    DEQ,
    Anderson,
    Broyden,
    Damped,
    FixedPoint,
    ImplicitGradient,
    IndexedCorrection,
    JacobianPenalty,
    PhantomGradient,
    SegmentedCorrection,
    add_deq_args,
    get_deq,
)

LONG = (
    "--solver anderson --solver-max-steps 12 --solver-tolerance 1e-4 --solver-mode relative --solver-component none "
    "--gradient implicit --gradient-safe true --gradient-solver-memory 5 --corrections indexed --corrections-count 3 "
    "--corrections-phantom-steps 2 --eval-steps 20 --jacobian-weight 0.1"
)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    add_deq_args(made)
    return made


def layer(line: str) -> DEQ:
    return get_deq(parser().parse_args(line.split()))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", DEQ()),
        ("--solver damped --solver-damping 0.5", DEQ(solver=Damped(damping=0.5))),
        ("--solver broyden --solver-memory none", DEQ(solver=Broyden(memory=None))),
        ("--gradient-steps 3", DEQ(gradient=PhantomGradient(steps=3))),
        # What is not given stays as it is by default: relative, in the gradient's own solver.
        (
            "--gradient implicit --gradient-solver-max-steps 9",
            DEQ(gradient=ImplicitGradient(solver=Broyden(max_steps=9, mode="relative"))),
        ),
        (
            LONG,
            DEQ(
                solver=Anderson(max_steps=12, tolerance=1e-4, mode="relative"),
                gradient=ImplicitGradient(solver=Broyden(memory=5, mode="relative"), safe=True),
                corrections=IndexedCorrection(count=3, phantom=PhantomGradient(steps=2)),
                eval_steps=20,
                jacobian=JacobianPenalty(weight=0.1),
            ),
        ),
    ],
)
def test_the_layer_is_the_one_described(line, expected):
    assert layer(line) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--solver-ridge 1", "--solver-ridge: the solver, gradient or corrections chosen have no such setting"),
        ("--solver anderson --solver-memory none", "--solver-memory=none: int is expected"),
        ("--solver-max-steps 2.5", "--solver-max-steps=2.5: int is expected"),
        ("--solver-component x", "--solver-component=x: int or none is expected"),
        ("--solver-tolerance -1", "tolerance=-1.0: give a tolerance of at least 0"),
        ("--jacobian-samples 3", "--jacobian: JacobianPenalty.__init__() missing 1 required"),
    ],
)
def test_a_setting_that_the_chosen_classes_do_not_take(line, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(line)


def test_every_field_of_every_class_has_an_argument_that_is_explained():
    text = " ".join(parser().format_help().split())
    parts = {"solver": (FixedPoint, Damped, Anderson, Broyden), "gradient": (PhantomGradient, ImplicitGradient)}
    parts |= {"corrections": (SegmentedCorrection, IndexedCorrection), "jacobian": (JacobianPenalty,)}
    for part, classes in parts.items():
        for field in {field.name for made in classes for field in fields(made)}:
            assert f"--{part}-{field.replace('_', '-')}" in text
    assert "anderson: how many past steps are mixed. Default: 6.; broyden: how many updates are kept" in text
    assert text.count("the most steps that are taken. Default: 40.") == 2  # the solver's and the gradient's solver's
    assert ": Default" not in text


def test_a_word_that_is_no_choice_is_refused_by_the_parser(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["--solver-mode", "abs"])
    assert "choose from" in capsys.readouterr().err
