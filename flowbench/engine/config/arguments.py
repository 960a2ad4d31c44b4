"""Command-line words: what the shell passes on becomes what Hydra reads.

Hydra reads the value of every setting as an expression: 2024_11_27 is a number, (1) a call, a comma a sweep. A setting that
names a file or a folder holds text, whatever is in it, so such values are put in quotes where Hydra would read anything else.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Quote, QuotedString
from hydra.errors import HydraException

from flowbench.configs import config_folder, file_settings
from flowbench.errors import FlowBenchError
from flowbench.former_names import current_key, with_current_references

# Hydra's own options: those that stand alone, and those that take the next word.
FLAGS = {"--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m", "--info", "-i"}
FLAGS |= {"--shell-completion", "-sc"}
WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"}
WITH_VALUE |= {"--experimental-rerun"}
# Short options of programs that have the setting.
_SHORT = MappingProxyType({"-o": "output"})
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")

# Settings on a program's top level that name files, where they are no switches. Their sign says nothing: ckpt= and +ckpt=
# are the same.
_NAMES = ("ckpt", "init", "input", "output", "pair", "resume", "submission")
# The packages that a command is to know; the sign says nothing here, too.
_PLUGINS = "plugins"
# Those that may be a list of names.
_LISTS = ("data", "input", "pair")
# Deeper settings that hold text: by the last part of their keys, and by what they lie below.
_TEXT = {"dir", "dirpath", "flow", "folder", "images", "name", "project", "root", "save_dir", "second", "split_file"}
_TEXT |= {"cutouts", "subdir", "textures"}
_TEXT_BELOW = {"lists", "predict", "paths"}
# Where the same names are of numbers: the share of things that are cut-outs is no glob.
_NUMBERS_BELOW = {"shares"}

# Settings that were called otherwise, by program: the old name, then today's.
RENAMED = MappingProxyType({"analyse": {"steps": "iterations"}, "evaluate": {"steps": "iterations"}})

_SETTING = re.compile(r"(?P<sign>\+{0,2})(?P<key>[A-Za-z_$][\w./@$-]*)=(?P<value>.*)", re.S)
_DELETION = re.compile(r"~(?P<key>[A-Za-z_][\w./@-]*)(=.*)?", re.S)
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_ITEM = re.compile(rf"\s*(?:(?:{_QUOTED}|\[[^\[\]]*\])\s*(?=,|\Z)|[^,]*)", re.S)
_FUNCTION = re.compile(r"(choice|glob|interval|range|shuffle|sort|tag)\(.*\)", re.S)
_CHECKPOINTS = (".ckpt", ".pt", ".pth", ".safetensors")


def hydra_words(arguments: Sequence[str], *, config: str, positional: str | None = None) -> list[str]:
    """A program's arguments in Hydra's grammar, options first.

    What is in Hydra's grammar already stays as it is, so a value may be quoted for Hydra, too.

    Args:
        arguments: the words after the program's name, as the shell passes them on.
        config: the program's file in conf/, to know its settings.
        positional: the setting that a word without a name belongs to; without it such a word is refused.

    Raises FlowBenchError for an option that does not exist, a word that is no setting, and an empty file name.
    """
    own = _own_settings(config)
    options, words = _parted(list(_long(arguments, own)))
    words = _with_current_names(words, RENAMED.get(config, {}))
    names = {name for name in _NAMES if not isinstance(own.get(name), bool)}
    given = [word for word in words if _is_setting(word, own)]
    sweep = not {"-m", "--multirun"}.isdisjoint(options) or "hydra.mode=MULTIRUN" in given
    strays = [word for word in words if not _is_setting(word, own)]
    groups = _left_to_the_checkpoint(config)
    settings = [_read(_added(word, groups, given), names, sweep=sweep) for word in given]
    if strays:
        settings.append(_positional(strays, positional, given, own))
    if sweep and any(word.startswith("resume=") for word in settings):
        raise FlowBenchError("resume= continues one run in its own folder: leave -m out, and resume one run at a time.")
    return [*options, *settings, *_resumed_folder(settings)]


def named_plugins(words: Sequence[str]) -> list[str]:
    """The plug-ins that words in Hydra's grammar name."""
    values = [OverridesParser.create().parse_override(word).value() for word in words if _key(word) == _PLUGINS]
    return [str(getattr(name, "text", name)) for value in values for name in _several(value)]


def _several(value: Any) -> list[Any]:
    if isinstance(value, ChoiceSweep):
        return value.list
    return value if isinstance(value, list) else [] if value is None else [value]


def setting(key: str, text: str | Path) -> str:
    """The word that gives a setting exactly this text."""
    return f"{key}={_as_text(str(text))}"


def _long(arguments: Sequence[str], own: Collection[str]) -> Iterator[str]:
    """The arguments with settings in place of short options."""
    rest = iter(arguments)
    for word in rest:
        option, equals, value = word.partition("=")
        if word == "--":
            yield from (word, *rest)
        elif (name := _SHORT.get(option)) in own:
            yield f"{name}={value if equals else next(rest, '')}"
        else:
            yield word


def _parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options, each with its value behind it, and all other words."""
    options: list[str] = []
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word == "--":
            words += rest
        elif word in _INFO and options[-1:] in (["--info"], ["-i"]):
            options.append(word)
        elif not word.startswith("-") or word == "-":
            words.append(word)
        elif word in WITH_VALUE:
            options += [word, *[value for value in [next(rest, None)] if value is not None]]
        elif _is_option(word):
            options.append(word)
        elif os.path.exists(word):
            words.append(word)
        else:
            _refuse_option(word, next(rest, ""))
    return options, words


def _is_option(word: str) -> bool:
    name = word.partition("=")[0]
    return word in FLAGS or (name.startswith("--") and any(known.startswith(name) for known in FLAGS | WITH_VALUE))


def _refuse_option(word: str, following: str) -> None:
    name, equals, value = word.lstrip("-").partition("=")
    value = value if equals or following.startswith("-") else following
    instead = f"{name.replace('-', '_')}={value or '<value>'}"
    raise FlowBenchError(f"There is no option '{word}': settings are written without dashes, such as {instead}.")


def current_word(word: str) -> str:
    """The word under today's names of its setting, below the top level of a program's, and of what it refers to."""
    if found := _SETTING.fullmatch(word):
        return f"{found['sign']}{current_key(found['key'])}={with_current_references(found['value'])}"
    if found := _DELETION.fullmatch(word):
        return f"~{current_key(found['key'])}{found[2] or ''}"
    return word


def _with_current_names(words: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """The words under today's names, with a line of notice for each that has another.

    names: the former names of settings on the program's top level. Raises FlowBenchError where a setting is given under both
    of its names.
    """
    given = {_key(word) for word in words}
    current = [_renamed(word, names) for word in words]
    for former, now in zip(map(_key, words), map(_key, current), strict=True):
        if former != now and now in given:
            raise FlowBenchError(f"{former}= and {now}= are the same setting: give one of them.")
        if former != now:
            print(f"{former}= is called {now}= today; the old name still works.", file=sys.stderr)
    return current


def _renamed(word: str, names: Mapping[str, str]) -> str:
    _, equals, value = word.partition("=")
    name = names.get(_key(word))
    return f"{name}={value}" if equals and name else current_word(word)


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _own_settings(config: str) -> dict[str, Any]:
    """The settings on the top level of conf/<config>.yaml, and its groups."""
    file = file_settings(config_folder() / f"{config}.yaml")
    groups = [name.split()[-1] for entry in file["defaults"] if isinstance(entry, dict) for name in entry]
    groups += [entry for entry in file["defaults"] if isinstance(entry, str) and entry != "_self_"]
    return dict.fromkeys(groups) | file


def _left_to_the_checkpoint(config: str) -> set[str]:
    """The groups that a program needs no choice of: their settings may be changes of what a checkpoint remembers."""
    defaults = file_settings(config_folder() / f"{config}.yaml")["defaults"]
    groups = [next(iter(entry.items())) for entry in defaults if isinstance(entry, dict)]
    return {name.split()[-1] for name, option in groups if name.startswith("optional ") and option is None}


def _added(word: str, groups: Collection[str], words: Sequence[str]) -> str:
    """A change within one of the groups. It may be new, with a + or without where the words do not choose the group."""
    found = _SETTING.fullmatch(word)
    group, dot, _ = found["key"].partition(".") if found else ("", "", "")
    if not found or not dot or group not in groups:
        return word
    chosen = any(other.lstrip("+").startswith(f"{group}=") for other in words)
    return word if chosen and not found["sign"] else f"++{word.lstrip('+')}"


def _is_setting(word: str, own: Collection[str]) -> bool:
    """Whether the word changes a setting. The name of a file that is there may look like one: a=1.png, ~old.mp4."""
    found = _SETTING.fullmatch(word) or _DELETION.fullmatch(word)
    if not found:
        return False
    return re.split(r"[./@]", found["key"])[0] in own or not os.path.exists(word)


def _positional(strays: list[str], key: str | None, given: list[str], own: Collection[str]) -> str:
    if key is None:
        raise FlowBenchError(_no_setting(strays[0], own))
    others = [word for word in given if word.lstrip("+").startswith(f"{key}=")]
    if others:
        raise FlowBenchError(f"'{strays[0]}' and {others[0]} both say what {key} is: give one of them.")
    if len(strays) == 1:
        return f"{key}={_as_text(strays[0])}"
    if key not in _LISTS:
        raise FlowBenchError(f"'{strays[0]}' and '{strays[1]}' both say what {key} is: give one of them.")
    return f"{key}=[{','.join(map(_as_text, strays))}]"


def _no_setting(word: str, own: Collection[str]) -> str:
    meant = next((name for name in ("ckpt", "init") if name in own and word.endswith(_CHECKPOINTS)), None)
    hint = f"did you mean {meant}={word}?" if meant else "write <name>=<value>; --help lists the names."
    return f"'{word}' is no setting: {hint}"


def _read(word: str, names: Collection[str], *, sweep: bool) -> str:
    found = _SETTING.fullmatch(word)
    if not found:
        return word
    sign, key, value = found["sign"], found["key"], found["value"]
    if key == _PLUGINS:
        return f"{key}={value}"
    if key in names:
        sign = ""
    elif not _holds_text(key):
        return word
    if value == "":
        raise FlowBenchError(f"{key}= is empty: give a name, or leave {key} out.")
    # Hydra's own settings are those of the whole sweep.
    several = sweep and not key.startswith("hydra.")
    return f"{sign}{key}={_values(key, value) if several else _value(key, value)}"


def _holds_text(key: str) -> bool:
    *above, last = key.split(".")
    if not _NUMBERS_BELOW.isdisjoint(above):
        return False
    return bool(above) and (last in _TEXT or not _TEXT_BELOW.isdisjoint(above))


def _values(key: str, value: str) -> str:
    """The value of a sweep: several, with commas between them."""
    if os.path.exists(value) or _FUNCTION.fullmatch(value):
        return value if _FUNCTION.fullmatch(value) else _as_text(value)
    return ",".join(_value(key, item) for item in _items(value))


def _value(key: str, value: str) -> str:
    if value.lower() == "null":
        return value
    if not os.path.exists(value):
        if re.fullmatch(_QUOTED, value, re.S):
            return value
        if key in _LISTS and value.startswith("[") and value.endswith("]"):
            return f"[{','.join(_value('', item) for item in _items(value[1:-1]))}]"
    if "${" in value and "." in key:
        # Below hydra, paths and data, conf/ itself makes names of others.
        return value if _read_by_hydra(value) == value else QuotedString(value, Quote.single).with_quotes()
    return _as_text(value)


def _items(text: str) -> Iterator[str]:
    """What stands between commas, but for those in quotes or brackets."""
    position = 0
    while text and position <= len(text) and (found := _ITEM.match(text, position)):
        yield found[0].strip()
        position = found.end() + 1


def _as_text(text: str) -> str:
    """The text in Hydra's grammar: as it is where Hydra reads just that, else in quotes."""
    if "${" not in text and _read_by_hydra(text) == text:
        return text
    return QuotedString(literal(text), Quote.single).with_quotes()


def literal(text: str) -> str:
    """The text as a config holds it, where OmegaConf sees references in it: a backslash takes their meaning away."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def _read_by_hydra(value: str) -> object:
    try:
        return OverridesParser.create().parse_override(f"name={value}").value()
    except HydraException:
        return None


def _resumed_folder(settings: Sequence[str]) -> list[str]:
    """A resumed run goes on in its own folder: no new one is made for it."""
    parsed = [OverridesParser.create().parse_override(word) for word in settings if word.startswith("resume=")]
    folders = [folder for word in parsed if isinstance(folder := word.value(), str)]
    if not folders or not Path(folders[-1]).is_dir():
        return []
    return [setting("hydra.run.dir", folders[-1]), "hydra.output_subdir=null"]
