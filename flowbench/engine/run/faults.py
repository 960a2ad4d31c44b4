"""Faults of the machine: memory, shared memory, open files, processes that were killed; each with its remedy."""

from __future__ import annotations

import errno
import re
import signal
import traceback
from collections.abc import Iterator

import torch

_SMALLER = {
    "train": "use a smaller schedule.batch_size with more trainer.accumulate_grad_batches, a smaller schedule.crop, or "
    "trainer.precision=bf16-mixed",
    "evaluate": "use data.eval_batch_size=1, or trainer.precision=bf16-mixed",
    "predict": "use batch_size=1, precision=bf16-mixed, or smaller images",
}
_ON_DEMAND = "; RAFT and DEQ-Flow also take model.network.correlation=on_demand"
_WORKER_KILLED = re.compile(r"DataLoader worker \(pid.*\) is killed by signal: (?P<name>[^.]+)\.")
_WORKER_GONE = re.compile(r"DataLoader worker \(pid.*\) exited unexpectedly")
_CPU_MEMORY = re.compile(r"can't allocate memory|std::bad_alloc|Insufficient memory|Unable to allocate", re.I)
_SHARED_MEMORY = re.compile(
    r"unable to (write to file|mmap|allocate shared memory)|shared memory.*No space left", re.I | re.S
)
_OPEN_FILES = re.compile(r"Too many open files")
_ASKED_FOR = re.compile(r"tried to allocate (?P<bytes>\d+) bytes|allocate (?P<amount>[\d.]+ [KMGTPE]iB)")


def fault(error: BaseException, *, config: str = "") -> str | None:
    """What a user reads of it, or None where the error is none of these.

    config: the program, "train", "evaluate" or "predict", for the remedy in its own settings.
    """
    # From the cause outwards: "exited unexpectedly" is raised on top of what says by which signal.
    return next((message for each in reversed([*_chain(error)]) if (message := _message(each, config))), None)


def killed(what: str, signum: int) -> str:
    """A process that a signal ended, in words. what: "A data-loading process"."""
    name = signal.Signals(signum).name if signum in set(signal.Signals) else f"signal {signum}"
    reason = ", which is mostly the system's answer to too little memory" if name == "SIGKILL" else ""
    return f"{what} was killed by {name}{reason}"


def _message(error: BaseException, config: str) -> str | None:
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError):
        return _out_of_memory("The GPU's memory", text, config)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return _out_of_memory("The machine's memory", text, config)
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return _too_many_files()
    if isinstance(error, OSError | EOFError) and _between_processes(error):
        return _worker_gone()
    return (
        _message_by_text(text, config) if isinstance(error, RuntimeError) or type(error).__module__ == "cv2" else None
    )


def _message_by_text(text: str, config: str) -> str | None:
    """What C++ code raises says only in words what it is."""
    if found := _WORKER_KILLED.search(text):
        return _worker_killed(found["name"])
    if _WORKER_GONE.search(text):
        return _worker_gone()
    if _SHARED_MEMORY.search(text):
        return _shared_memory_full()
    if _OPEN_FILES.search(text):
        return _too_many_files()
    return _out_of_memory("The machine's memory", text, config) if _CPU_MEMORY.search(text) else None


def _between_processes(error: BaseException) -> bool:
    """Whether it arose in what processes of one program say to each other, rather than at a file."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__") == "multiprocessing.connection" for frame, _ in frames)


def _worker_gone() -> str:
    return (
        "A data-loading process ended without a word, mostly for want of memory or of shared memory (/dev/shm): lower "
        "data.workers, or give a container more (docker run --shm-size=8g); with data.workers=0 its error shows."
    )


def _worker_killed(described: str) -> str:
    signum = next((each for each in signal.valid_signals() if signal.strsignal(each) == described), 0)
    if signum == signal.SIGBUS:
        return _shared_memory_full()
    if signum == 0:
        return f"A data-loading process was ended by a signal ({described}): lower data.workers."
    return f"{killed('A data-loading process', signum)}: lower data.workers, or take a smaller batch."


def _shared_memory_full() -> str:
    return (
        "Shared memory (/dev/shm), through which data-loading processes hand over their samples, is full: give the "
        "container more (docker run --shm-size=8g), lower data.workers, or set data.workers=0."
    )


def _too_many_files() -> str:
    return "Too many files are open: raise the limit with `ulimit -n 65536`, or lower data.workers."


def _out_of_memory(which: str, text: str, config: str) -> str:
    asked = _ASKED_FOR.search(text)
    amount = ""
    if asked:
        amount = asked["amount"] or f"{int(asked['bytes']) / 2**30:,.1f} GiB"
        amount = f" ({amount} more were asked for)"
    remedy = _SMALLER.get(config, "use a smaller batch or smaller images")
    return f"{which} does not suffice{amount}: {remedy}{_ON_DEMAND}."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
