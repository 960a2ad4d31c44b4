"""Kinds of settings: what an annotation admits, and the error of a value that it does not."""

from __future__ import annotations

import collections.abc
import math
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from omegaconf import DictConfig

from flowbench.errors import FlowBenchError

_FINITE = sys.float_info.max


@dataclass(frozen=True)
class Range:
    """The numbers of a setting, or those of its list, which has at least one.

    least: the smallest, or, where `above`, what they have to exceed. most: the largest.
    """

    least: float = 0
    above: bool = False
    most: float = math.inf

    def holds(self, value: Any) -> bool:
        numbers = [each for each in (value if isinstance(value, list | tuple) else [value]) if _is(each, float)]
        within = [(each > self.least if self.above else each >= self.least) and each <= self.most for each in numbers]
        return bool(within) and all(within)

    def __str__(self) -> str:
        if self.above or self.least == 1:
            return "above zero"
        return f"from {self.least:g} {'up' if self.most >= _FINITE else f'to {self.most:.10g}'}"


@dataclass(frozen=True)
class Alias:
    """Other spellings of a setting's values, each with the value that it stands for."""

    values: tuple[tuple[Any, Any], ...]


Count = Annotated[int, Range(1)]
"""A whole number above zero."""
FromZero = Annotated[int, Range(0)]
"""A whole number from zero up."""
Positive = Annotated[float, Range(0, above=True)]
"""A number above zero."""
Amount = Annotated[float, Range(0)]
"""A number from zero up."""
Counts = Annotated[int | Sequence[int], Range(1)]
"""A whole number above zero, or several."""
Positives = Annotated[float | Sequence[float], Range(0, above=True, most=_FINITE)]
"""A finite number above zero, or several."""
Amounts = Annotated[float | Sequence[float], Range(0, most=_FINITE)]
"""A finite number from zero up, or several."""
Size = Annotated[tuple[int, int], Range(1)]
"""Height and width, pixels."""
Precision = Annotated[
    Literal["32-true", "bf16-mixed", "16-mixed"],
    Alias(((32, "32-true"), ("32", "32-true"), ("bf16", "bf16-mixed"), (16, "16-mixed"), ("16", "16-mixed"))),
]
"""What a model computes in, in Lightning's words; 32, bf16 and 16 stand for them."""
Precisions = Precision | Sequence[Precision]

_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}
_PLAIN = (str, int, float, list, tuple, Mapping)
_LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)


def read(key: str, value: Any, kind: Any) -> Any:
    """The value of a setting, in its own spelling.

    Args:
        key: What the user calls the setting.
        value: What was given for it: numbers, text, lists and mappings of these, or an object.
        kind: An annotation, such as `Count | None`.

    Raises FlowBenchError, with the key and the value, where the kind does not admit it.
    """
    value = _spelt(value, kind)
    if not fits(value, kind):
        raise FlowBenchError(f"{key}={shown(value)}: {needed(kind)} is needed.")
    return value


def several(value: Any) -> tuple[Any, ...]:
    """A number, or a list of them, as a tuple without repetitions; empty for None."""
    if value is None:
        return ()
    return tuple(dict.fromkeys(value)) if is_list(value) else (value,)


def is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated kind. What describes an object fits everything that is not plain."""
    if kind in _NAMES:
        return _is(value, kind)
    if kind is Any or (isinstance(value, Mapping) and "_target_" in value):
        return True
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is Annotated:
        base, *rules = inner
        return fits(value, base) and all(rule.holds(value) for rule in rules if isinstance(rule, Range))
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in inner)
    if origin in _LISTS:
        return is_list(value) and _members_fit(value, origin, inner)
    if origin in (dict, collections.abc.Mapping):
        # What takes the mapping says better what a mapping within it lacks.
        members = (
            (each for each in value.values() if not isinstance(each, Mapping)) if isinstance(value, Mapping) else ()
        )
        return isinstance(value, Mapping) and all(fits(each, inner[1]) for each in members if inner)
    if isinstance(origin, type) and issubclass(origin, Path):
        return isinstance(value, str | Path)
    if getattr(origin, "_is_protocol", False):
        return not isinstance(value, _PLAIN)
    return value is None or (isinstance(origin, type) and isinstance(value, origin))


def needed(kind: Any) -> str:
    """What a kind admits, as the beginning of "... is needed"."""
    alone = [each for each in _members(kind) if each is not type(None)]
    if len(alone) == len(_members(kind)) or not any(_rules(kind, Range)):
        return _described(kind)
    described = " or ".join(map(_described, alone))
    return f"{described.removesuffix(',')}, or null,"


def shown(value: Any) -> str:
    """A value as a user writes it."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(shown, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _spelt(value: Any, kind: Any) -> Any:
    if is_list(value):
        return type(value)(_spelt(each, kind) for each in value)
    for alias in _rules(kind, Alias):
        for other, own in alias.values:
            if value == other and type(value) is type(other):
                return own
    return value


def _rules(kind: Any, wanted: type) -> Iterator[Any]:
    if typing.get_origin(kind) is Annotated:
        yield from (rule for rule in typing.get_args(kind)[1:] if isinstance(rule, wanted))
    for inner in typing.get_args(kind):
        yield from _rules(inner, wanted)


def _members(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else (kind,)


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _members_fit(value: list[Any] | tuple[Any, ...], origin: Any, inner: tuple[Any, ...]) -> bool:
    if origin is tuple and inner and inner[-1] is not ...:
        return len(value) == len(inner) and all(map(fits, value, inner))
    return all(fits(each, inner[0]) for each in value if inner)


def _described(kind: Any) -> str:
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if kind in _NAMES:
        return _NAMES[kind]
    if origin is Annotated:
        return _described_range(inner[0], " ".join(str(rule) for rule in inner[1:] if isinstance(rule, Range)))
    if origin in (Union, types.UnionType):
        return _described_union(inner)
    if origin is Literal:
        return f"one of {', '.join(dict.fromkeys(map(shown, inner)))}"
    if origin in _LISTS:
        length = f" of {len(inner)}" if origin is tuple and inner and inner[-1] is not ... else ""
        return f"a list{length}, each member {_described(inner[0])}," if inner else "a list"
    if origin in (dict, collections.abc.Mapping, DictConfig):
        return "a mapping {name: value}"
    return "text" if isinstance(origin, type) and issubclass(origin, Path) else "an object with _target_"


def _described_range(base: Any, rule: str) -> str:
    if typing.get_origin(base) is tuple:
        return f"a list of two whole numbers {rule}"
    one, *lists = _members(base)
    return f"{_described(one)} {rule}".rstrip() + (", or a list of them," if lists else "")


def _described_union(members: tuple[Any, ...]) -> str:
    choices = [choice for each in members if typing.get_origin(each) is Literal for choice in typing.get_args(each)]
    literal = [_described(Literal[*choices])] if choices else []
    others = [each for each in members if typing.get_origin(each) is not Literal]
    lists = [each for each in others if set(typing.get_args(each)) & set(others)]
    described = " or ".join(dict.fromkeys([*literal, *(_described(each) for each in others if each not in lists)]))
    return f"{described}, or a list of them," if lists else described
