"""Weights that FlowBench ships: a file in half precision and its card, from a checkpoint of a training run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from safetensors.torch import save
from torch import Tensor

from flowbench.checkpoints.read import SETTINGS, check_weights, is_ours, read_checkpoint
from flowbench.checkpoints.settings import plain_settings
from flowbench.engine.config.groups import model_config
from flowbench.engine.config.models import build_model, network_weights
from flowbench.engine.run import Run
from flowbench.engine.run.folder import CONFIG
from flowbench.engine.run.settings import Settings
from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.models.base import TRAINING_SIZE, FlowModel
from flowbench.pretrained import sha256_of, weights_folder

_WIDTH = 126
_DIGITS = 8
# What only a person can say of the weights, and what is then kept for the next release.
_SAID = ("names", "licence", "trained_on", "hardware")


@dataclass(frozen=True, kw_only=True)
class ReleaseSettings(Settings):
    """What `release_weights` takes; conf/release_weights.yaml has the same names and defaults."""

    ckpt: str | Path | None = None
    """A checkpoint of a training run; it has to be given."""
    name: str | None = None
    """Of the two files, <name>.safetensors and <name>.yaml; the model's if None."""
    to: str | Path | None = None
    """The folder of both; weights/ if None."""
    names: Sequence[str] | None = None
    """Under which the weights are found; the fullest, <model>-<stage>, first."""
    licence: str | None = None
    """Of the weights."""
    trained_on: str | None = None
    """The data, in words."""
    hardware: str | None = None
    """What it was trained on, in general words."""
    measured: str | Path | None = None
    """A metrics.json of evaluate, whose metrics become the card's figures."""

    def check(self) -> None:
        if not self.ckpt:
            raise FlowBenchError("No checkpoint was given: add ckpt=<file of a training run>.")
        if self.name and Path(self.name).name != self.name:
            raise FlowBenchError(f"name={self.name}: a name without folders is needed; to= is the folder.")


def release_weights(settings: ReleaseSettings, run: Run) -> Path:
    """Writes the averaged weights, where the run averaged them, in half precision, and the card beside them.

    A card that is there keeps what is not given anew, and the earlier stages of the same training. Returns the card's path.
    Raises FlowBenchError for a checkpoint of another program, and where a new card would lack what only a person can say.
    """
    checkpoint = Path(str(settings.ckpt))
    contents = read_checkpoint(checkpoint)
    if not is_ours(contents):
        raise FlowBenchError(
            f"'{checkpoint}' was not written by a training run of FlowBench, which alone can be released."
        )
    name = str(plain_settings(contents[SETTINGS])["model"]["name"])
    model = build_model(model_config(name))
    state = _halved(network_weights(model, contents), checkpoint)
    check_weights(model.network, state, source=checkpoint)
    folder = Path(settings.to or weights_folder())
    card_file = folder / f"{settings.name or name}.yaml"
    card = _card(settings, model, contents, _written(card_file))
    with written_aside(card_file.with_suffix(".safetensors")) as aside:
        aside.write_bytes(save(state))
        card["sha256"] = sha256_of(aside)
    if settings.measured:
        card["measured"] = {"weights": card["sha256"][:_DIGITS], **_figures(settings.measured)}
    with written_aside(card_file) as aside:
        aside.write_text(_as_text(card), encoding="utf-8")
    _print(card_file, card)
    return card_file


def _print(file: Path, card: Mapping[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{file}: {card['steps']:,} steps, sha256 {card['sha256']}")
    measured = card["measured"].get("weights")
    if measured != card["sha256"][:_DIGITS]:
        told = f"are still those of the weights {measured}" if measured else "are missing"
        console.print(f"Its measured figures {told}: evaluate these weights, and give measured=<metrics.json>.")


def _written(card: Path) -> dict[str, Any]:
    return yaml.safe_load(card.read_text(encoding="utf-8")) if card.is_file() else {}


def _halved(state: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """In half precision, but for whole numbers. Raises FlowBenchError for values beyond its range."""
    halved = {name: each.half() if each.is_floating_point() else each for name, each in state.items()}
    beyond = [name for name, each in halved.items() if not torch.isfinite(each).all()]
    if beyond:
        raise FlowBenchError(f"'{source}' has values that half precision cannot hold, in {', '.join(beyond[:6])}.")
    return {name: each.contiguous() for name, each in halved.items()}


def _card(
    settings: ReleaseSettings, model: FlowModel, contents: Mapping[str, Any], before: Mapping[str, Any]
) -> dict[str, Any]:
    said = {key: getattr(settings, key) or before.get(key) for key in _SAID}
    if missing := [key for key, value in said.items() if not value]:
        raise FlowBenchError(f"A new card needs {', '.join(f'{key}=<...>' for key in missing)}: add what is missing.")
    stages = _stages(Path(str(settings.ckpt)), contents, before.get("stages", ()))
    hours = [stage["hours"] for stage in stages if stage["hours"]]
    return {
        "names": list(said["names"] or ()),
        "model": model.name,
        "file": f"{settings.name or model.name}.safetensors",
        "sha256": "",
        "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "precision": "float16",
        "licence": said["licence"],
        "trained_on": said["trained_on"],
        "averaged": "current_model_state" in contents,
        TRAINING_SIZE: plain_settings(contents[SETTINGS]).get(TRAINING_SIZE),
        "steps": sum(stage["steps"] for stage in stages),
        "pairs": sum(stage["pairs"] for stage in stages),
        "hours": round(sum(hours), 2),
        "hardware": said["hardware"],
        "command": stages[-1]["command"],
        "stages": stages,
        "measured": before.get("measured") or {},
    }


def _stages(checkpoint: Path, contents: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The stages of the training: those before, where this run began with their weights, and this one, as far as it is."""
    folder = checkpoint.parent.parent
    config, command = _written(folder / CONFIG), folder / "provenance.json"
    if not config or not command.is_file():
        raise FlowBenchError(
            f"'{folder}' has no {CONFIG} or no provenance.json: give a checkpoint in the folder of its run."
        )
    steps, batch = int(contents["global_step"]), int(config["schedule"]["batch_size"])
    seconds = contents.get("callbacks", {}).get("TimeLimit", {}).get("elapsed")
    stage = {
        "run": folder.name,
        "steps": steps,
        "pairs": steps * batch * int(config["trainer"].get("accumulate_grad_batches", 1)),
        "hours": round(seconds / 3600, 2) if seconds else None,
        "command": _command(json.loads(command.read_text(encoding="utf-8"))["command"]),
    }
    earlier = [dict(each) for each in before if each.get("run") != folder.name] if config.get("init") else []
    return [*earlier, stage]


def _command(words: Sequence[str]) -> str:
    """The command as anybody would type it: without this machine's folders, and where the run was written."""
    given = [word for word in words[1:] if not word.startswith("hydra.")]
    return shlex.join(["python", "train.py", *map(_without_folder, given)])


def _without_folder(word: str) -> str:
    key, equals, value = word.partition("=")
    path = value.strip("'\"")
    if not path.startswith(("/", "~")):
        return word
    parts = Path(path).parts
    # Of a pattern, its own folder says what is meant: photos/*.
    last = next((number - 1 for number, part in enumerate(parts) if "*" in part), len(parts) - 1)
    return f"{key}{equals}{'/'.join(parts[last:])}"


def _figures(metrics: str | Path) -> dict[str, Any]:
    """The metrics of an evaluation, with what they were measured on and how."""
    found = json.loads(Path(metrics).read_text(encoding="utf-8"))
    about = {key: found["settings"][key] for key in ("data", "split", "pairs", "cascade")}
    return {**about, **{name: round(value, 4) for name, value in found["metrics"].items()}}


def _as_text(card: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(card), sort_keys=False, allow_unicode=True, width=_WIDTH)
