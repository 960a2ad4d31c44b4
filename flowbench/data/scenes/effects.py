"""The effects that a data set applies, as its configuration names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from numpy.random import PCG64, Generator, SeedSequence

from flowbench.data.scenes.camera import Defocus, Gamma, MotionBlur, Noise
from flowbench.data.scenes.effect import Effect, Pair
from flowbench.data.scenes.light import Fog, Lighting, Shadow
from flowbench.data.scenes.processing import Jpeg, Levels, Sharpen
from flowbench.errors import FlowBenchError


@dataclass(frozen=True)
class Effects:
    """All effects, in the order in which they are applied, that of light on its way to the file; None switches one off.

    Args:
        lighting, shadow, fog, defocus, motion_blur, noise, gamma: on by default.
        levels, sharpen, jpeg: off by default.
    """

    lighting: Lighting | None = field(default_factory=Lighting)
    shadow: Shadow | None = field(default_factory=Shadow)
    fog: Fog | None = field(default_factory=Fog)
    defocus: Defocus | None = field(default_factory=Defocus)
    motion_blur: MotionBlur | None = field(default_factory=MotionBlur)
    noise: Noise | None = field(default_factory=Noise)
    gamma: Gamma | None = field(default_factory=Gamma)
    levels: Levels | None = None
    sharpen: Sharpen | None = None
    jpeg: Jpeg | None = None

    @classmethod
    def none(cls) -> Effects:
        """Every effect switched off."""
        return cls(**dict.fromkeys(entry.name for entry in fields(cls)))

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | None) -> Effects:
        """Reads {effect: {field: value}}, as YAML gives it; None switches an effect, or all of them, off.

        Missing entries keep their defaults. Raises FlowBenchError for an effect or a field that does not exist.
        """
        if config is None:
            return cls.none()
        _check_mapping("effects", config, KINDS)
        read: dict[str, Any] = {name: _read_effect(name, KINDS[name], config[name]) for name in config}
        return cls(**read)

    def apply(self, pair: Pair, seed: SeedSequence, scale: float) -> Pair:
        """Both images after all effects.

        Each effect has a random stream of its own: switching one changes nothing in the others.

        Args:
            pair: image1 and image2.
            seed: of the streams.
            scale: the images' size over 384x512.
        """
        for entry, stream in zip(fields(self), seed.spawn(len(fields(self)))):
            effect = getattr(self, entry.name)
            if effect is None or effect.probability == 0:
                continue
            rng = Generator(PCG64(stream))
            if rng.random() < effect.probability:
                pair = effect.apply(pair, rng, scale)
        return pair


KINDS: Mapping[str, type[Effect]] = {
    "lighting": Lighting,
    "shadow": Shadow,
    "fog": Fog,
    "defocus": Defocus,
    "motion_blur": MotionBlur,
    "noise": Noise,
    "gamma": Gamma,
    "levels": Levels,
    "sharpen": Sharpen,
    "jpeg": Jpeg,
}


def _read_effect(name: str, kind: type[Effect], config: Mapping[str, Any] | None) -> Effect | None:
    if config is None:
        return None
    _check_mapping(f"effects.{name}", config, [entry.name for entry in fields(kind)])
    return kind(**config)


def _check_mapping(where: str, config: Mapping[str, Any], known: Iterable[str]) -> None:
    if not isinstance(config, Mapping):
        raise FlowBenchError(f"{where} is {config!r}: give a mapping of {', '.join(known)}, or null to switch it off.")
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise FlowBenchError(f"{where} has no {', '.join(unknown)}: it knows {', '.join(known)}.")
