"""A graphics card that is only claimed: tensors are computed on the CPU, but say that they lie on it, and do not mix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

CARD, HOST = torch.device("cuda", 0), torch.device("cpu")

_AUTOCAST = torch.autocast
_TOLD = {
    Tensor.device.__get__: lambda place: place,
    Tensor.is_cuda.__get__: lambda place: place == CARD,
    Tensor.is_cpu.__get__: lambda place: place == HOST,
}
_OF_THE_FIRST = (Tensor.copy_, Tensor.grad.__get__, Tensor.grad.__set__, torch._has_compatible_shallow_copy_type)
_MOVES = {Tensor.cpu: HOST, Tensor.cuda: CARD}
# Unlike arithmetic, these do not take a single value of the CPU among tensors of the card.
_STRICT = (torch.cat, torch.stack)


@contextmanager
def claimed_card() -> Iterator[None]:
    """Inside, "cuda" is a device, and a tensor that was left on the CPU cannot be used beside those on it.

    What a card computes differently is not seen here: its own kernels, and autocasting, which is the CPU's.
    """
    memory = mock.patch("torch.cuda.get_device_properties", return_value=SimpleNamespace(total_memory=2**36))
    autocast = mock.patch("torch.autocast", lambda device_type, **options: _AUTOCAST("cpu", **options))
    with memory, autocast, _Places():
        yield


class _Places(TorchFunctionMode):
    """Keeps with each tensor the device that it would lie on."""

    def __torch_function__(
        self,
        function: Callable,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function in _TOLD:
            return _TOLD[function](_place(args[0]))
        if function is Tensor.backward:
            # What is computed on the way back is watched, too.
            with self:
                return torch.autograd.backward(args[0], kwargs.pop("gradient", None), **kwargs)
        if function is Tensor.numpy and _place(args[0]) == CARD:
            raise TypeError("can't convert a tensor of the card to numpy: copy it to host memory first")
        given = list(_tensors((args, kwargs)))
        asked = _asked(function, args, kwargs)
        place = asked or _common_place(function, args, given)
        if (generator := kwargs.get("generator")) is not None and place == CARD:
            raise RuntimeError(f"{function.__name__}: a generator of {generator.device} does not draw on the card")
        if function is Tensor.cuda:
            function, args = Tensor.to, (args[0], HOST)
        elif asked:
            args, kwargs = _on_host(args), _on_host(kwargs)
        result = function(*args, **kwargs)
        if function == Tensor.data.__set__:
            args[0].place = place
        # A tensor that is moved to where it lies already is its own copy.
        if isinstance(result, Tensor) and any(result is each and _place(each) != place for each in given):
            result = result.clone()
        for each in _tensors(result):
            each.place = place
        return result


def _place(tensor: Tensor) -> torch.device:
    """Gradients are made by no function that could be seen; they lie where their tensors do."""
    unseen = CARD if torch._C._current_graph_task_id() != -1 else HOST
    return getattr(tensor, "place", unseen)


def _asked(function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device | None:
    if function in _MOVES:
        return _MOVES[function]
    if function in (Tensor.data.__set__, Tensor.type_as):
        return _place(args[1])
    words = [kwargs.get("device"), *(args[1:] if function is Tensor.to else ())]
    for word in words:
        if isinstance(word, Tensor):
            return _place(word)
        if isinstance(word, str | torch.device):
            return CARD if torch.device(word).type == "cuda" else HOST
    return HOST if function is torch.tensor else None


def _on_host(given: Any) -> Any:
    """The same arguments with the CPU for every device."""
    if isinstance(given, str) and given.startswith("cuda"):
        return HOST
    if isinstance(given, torch.device):
        return HOST
    if isinstance(given, Mapping):
        return {name: _on_host(value) for name, value in given.items()}
    return type(given)(map(_on_host, given)) if type(given) in (tuple, list) else given


def _common_place(function: Callable, args: Sequence[Any], given: Sequence[Tensor]) -> torch.device:
    if function in _OF_THE_FIRST:
        return _place(args[0])
    if function is Tensor.__getitem__ and _place(args[0]) == CARD:
        # Indices and masks may lie on the CPU.
        return CARD
    places = {_place(tensor) for tensor in given if tensor.ndim or function in _STRICT}
    if len(places) > 1:
        shapes = ", ".join(f"{tuple(tensor.shape)} on {_place(tensor)}" for tensor in given)
        raise RuntimeError(f"{function.__name__} was given tensors of two devices: {shapes}")
    return CARD if any(_place(tensor) == CARD for tensor in given) else HOST


def _tensors(given: Any) -> Iterator[Tensor]:
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, Mapping):
        yield from (tensor for value in given.values() for tensor in _tensors(value))
    elif isinstance(given, tuple | list):
        yield from (tensor for value in given for tensor in _tensors(value))
