"""Command-line arguments of an implicit layer, for programs without Hydra, made from the fields of its classes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from flowbench.deq.anderson import Anderson
from flowbench.deq.broyden import Broyden
from flowbench.deq.corrections import Corrections, IndexedCorrection, SegmentedCorrection
from flowbench.deq.fixed_point import Damped, FixedPoint
from flowbench.deq.gradients import Gradient, ImplicitGradient, PhantomGradient
from flowbench.deq.jacobian import JacobianPenalty
from flowbench.deq.layer import DEQ
from flowbench.deq.solver import Solver

# The classes that a field of this type may hold.
_CHOICES: Mapping[type, tuple[type, ...]] = {
    Solver: (FixedPoint, Damped, Anderson, Broyden),
    Gradient: (PhantomGradient, ImplicitGradient),
    Corrections: (SegmentedCorrection, IndexedCorrection),
    JacobianPenalty: (JacobianPenalty,),
    PhantomGradient: (PhantomGradient,),
}
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "none": None}


def add_deq_args(parser: argparse.ArgumentParser) -> None:
    """Adds --solver, --solver-max-steps, --gradient and so on: an argument per field of DEQ and of its parts.

    Arguments that are not given keep the default of the class that is chosen.
    """
    group = parser.add_argument_group("implicit layer")
    arguments: dict[str, list[_Argument]] = {}
    for argument in _arguments(DEQ, prefix=""):
        arguments.setdefault(argument.name, []).append(argument)
    for name, meanings in arguments.items():
        choices = sorted({choice for meaning in meanings for choice in meaning.choices})
        group.add_argument(
            f"--{name}",
            dest=_destination(name),
            default=argparse.SUPPRESS,
            choices=choices or None,
            metavar=None if choices else name.rpartition("-")[2].upper(),
            help="; ".join(dict.fromkeys(meaning.help for meaning in meanings)).replace("%", "%%"),
        )


def get_deq(args: argparse.Namespace) -> DEQ:
    """The layer that the arguments of `add_deq_args` describe.

    Raises ValueError for a value that its class does not take, and for an argument that the chosen classes do not have.
    """
    given = {name: value for name, value in vars(args).items() if name.startswith(_destination(""))}
    layer = _make(DEQ, "", given)
    if given:
        unused = ", ".join(f"--{name.removeprefix(_destination('')).replace('_', '-')}" for name in given)
        raise ValueError(f"{unused}: the solver, gradient or corrections chosen have no such setting.")
    return layer


@dataclass(frozen=True)
class _Argument:
    name: str
    choices: tuple[str, ...]
    help: str


def _arguments(made: type, prefix: str, among: tuple[type, ...] = ()) -> Iterator[_Argument]:
    """The arguments of a class, and of the objects that it holds. among: the classes to choose from."""
    explained, hints = _explanations(made), get_type_hints(made)
    for field in fields(made):
        name, classes = f"{prefix}{field.name.replace('_', '-')}", _classes(hints[field.name])
        shared = all(_explanations(other).get(field.name) == explained.get(field.name) for other in among)
        help = f"{'' if shared else f'{_word_of(made)}: '}{explained.get(field.name, '')} Default: {_default(field)}."
        if not classes:
            yield _Argument(name, _literals(hints[field.name]), help)
        if len(classes) > 1:
            yield _Argument(name, tuple(map(_word_of, classes)), help)
        for held in classes:
            yield from _arguments(held, f"{name}-", classes)


def _make(made: type[Any], prefix: str, given: dict[str, Any], default: Any = None) -> Any:
    """The object that the arguments describe, which are taken out of `given`; else as `default`, if that is of this class."""
    hints, settings = get_type_hints(made), {}
    for field in fields(made):
        name = f"{prefix}{field.name.replace('_', '-')}"
        classes, key = _classes(hints[field.name]), _destination(name)
        if not classes and key in given:
            settings[field.name] = _value(name, given.pop(key), hints[field.name])
        if classes and any(other == key or other.startswith(f"{key}_") for other in given):
            usual = None if field.default_factory is MISSING else field.default_factory()
            words = {_word_of(held): held for held in classes}
            held = words[given.pop(key)] if key in given else type(usual) if usual else classes[0]
            settings[field.name] = _make(held, f"{name}-", given, usual)
    try:
        return replace(default, **settings) if isinstance(default, made) else made(**settings)
    except TypeError as error:
        raise ValueError(f"--{prefix.rstrip('-')}: {error}") from error


def _value(name: str, text: str, hint: Any) -> Any:
    kinds = get_args(hint) if get_origin(hint) not in (None, Literal) else (hint,)
    if text in _WORDS and type(_WORDS[text]) in kinds:
        return _WORDS[text]
    if text in _literals(hint):
        return text
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    wanted = " or ".join("none" if kind is NoneType else getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise ValueError(f"--{name}={text}: {wanted} is expected.")


def _classes(hint: Any) -> tuple[type, ...]:
    """The classes whose objects a field of this type holds; none for numbers and strings."""
    return next((_CHOICES[kind] for kind in (hint, get_origin(hint), *get_args(hint)) if kind in _CHOICES), ())


def _literals(hint: Any) -> tuple[str, ...]:
    if hint is bool:
        return ("true", "false")
    return get_args(hint) if get_origin(hint) is Literal else ()


def _word_of(made: type) -> str:
    """FixedPoint -> fixed_point; without the name of what it is a kind of, PhantomGradient -> phantom."""
    name = re.sub("(?<=.)(Gradient|Correction)$", "", made.__name__)
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _default(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        return _word_of(type(field.default_factory()))
    return "none, it must be given" if field.default is MISSING else str(field.default).lower()


def _destination(name: str) -> str:
    return f"deq_{name.replace('-', '_')}"


def _explanations(made: type) -> dict[str, str]:
    """The descriptions of a class's fields, from Args in its docstring and its bases' docstrings."""
    explained: dict[str, str] = {}
    for base in made.__mro__:
        _, _, listed = (base.__doc__ or "").partition("Args:\n")
        for name, text in re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", listed, re.MULTILINE):
            explained.setdefault(name, re.sub(r"\s+", " ", text))
    return explained
