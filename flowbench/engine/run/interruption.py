"""Signals that ask a program to end: Ctrl-C, SIGTERM, and SIGUSR1, which schedulers send ahead of a time limit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.callbacks import Callback

from flowbench.engine.run.rank import is_first_process

# Windows has no SIGUSR1.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
_SECONDS_OF_ONE_REQUEST = 1.0


class Interrupted(BaseException):
    """A signal ended the program. It is no Exception, so that a sweep does not take it for the failure of one job.

    Args:
        signum: the signal; the exit status is 128 plus this number.
        message: What the user reads of it.
        step: the training step before which the run was stopped and saved; None outside training.
    """

    def __init__(self, signum: int, message: str = "", *, step: int | None = None) -> None:
        self.signal = signal.Signals(signum)
        self.message = message or f"{self.signal.name} ended the program."
        self.step = step
        super().__init__(self.message)

    @property
    def exit_status(self) -> int:
        return 128 + self.signal


class _Requests:
    """The first signal that arrived, and what becomes of it. Signals belong to the process, and so does this."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.handled: list[int] = []
        self.deferred = False
        self.signum = 0
        self.arrived = 0.0

    def arm(self) -> None:
        for signum in self.handled:
            signal.signal(signum, self.take)

    def take(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:
            # A data-loading process that has not yet begun: PyTorch ends it at this without a word.
            raise KeyboardInterrupt
        if self.signum:
            # The terminal and a launcher may both pass on one Ctrl-C; what comes later is meant.
            if time.monotonic() - self.arrived > _SECONDS_OF_ONE_REQUEST:
                os._exit(128 + signum)
            return
        self.signum, self.arrived = signum, time.monotonic()
        if not self.deferred:
            raise Interrupted(signum)
        if is_first_process():
            name = signal.Signals(signum).name
            # The main thread may be within a print.
            os.write(2, f"\n{name}: training stops after this step. A second signal ends it at once.\n".encode())


_requests = _Requests()


@contextmanager
def signals_end_the_program() -> Iterator[None]:
    """Within it a signal raises Interrupted in the main thread, but for the steps of training, which end first.

    A signal that was ignored before (nohup, a shell's background job) stays ignored.
    """
    global _requests
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outer, before = _requests, {signum: signal.getsignal(signum) for signum in SIGNALS}
    _requests = _Requests()
    _requests.handled = [signum for signum in SIGNALS if before[signum] is not signal.SIG_IGN]
    _requests.arm()
    try:
        yield
    finally:
        _requests = outer
        for signum, handler in before.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)


def refuse_to_start() -> None:
    """Raises Interrupted where a signal came while the last step of an earlier job was made."""
    if _requests.signum:
        raise Interrupted(_requests.signum)


class OwnSignals(Callback):
    """Takes the signals back from Lightning, whose handlers exit with status 0 and, in one of several processes, wait for
    the others for ever."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        _requests.arm()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        _requests.arm()


class StopBetweenSteps:
    """From its making until `close`, a signal no longer ends the program: it is asked for before each step instead.

    Where several processes train, whichever of them got the signal, all stop before the same step. Each tells the others
    while a step is computed, on the CPU, so that no step and no GPU waits for it; the answer is known one step later.
    """

    def __init__(self) -> None:
        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        self._group = dist.new_group(backend="gloo") if several else None
        self._flag = torch.zeros(1, dtype=torch.int64)
        self._work: dist.Work | None = None
        _requests.deferred = True

    def signum(self) -> int:
        """The signal at which every process stops now, or 0; to be called by every process before each step."""
        if self._group is None:
            return _requests.signum
        if self._heard():
            return int(self._flag)
        self._flag = torch.tensor([_requests.signum])
        self._work = dist.all_reduce(self._flag, op=dist.ReduceOp.MAX, group=self._group, async_op=True)
        return 0

    def _heard(self) -> bool:
        if self._work is None:
            return False
        self._work.wait()
        self._work = None
        return bool(self._flag)

    def close(self) -> None:
        """After the last step: what was said during it is heard, so that no message is left under way."""
        self._heard()
        _requests.deferred = False


def end_at_once() -> None:
    """Training is over, well or not: from here on a signal ends the program again."""
    _requests.deferred = False
