"""Several processes for one run, on this machine.

Lightning's own launcher repeats the command line, and with it a whole Hydra sweep. Here each further process gets this
job's overrides and this job's folder alone. Processes started from outside (torchrun, SLURM) are left as they are.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from omegaconf import DictConfig

from flowbench.engine.config.arguments import setting
from flowbench.engine.run import Run
from flowbench.engine.run.faults import killed
from flowbench.engine.run.interruption import SIGNALS, Interrupted
from flowbench.errors import FlowBenchError
from flowbench.programs import restarting

_RENDEZVOUS = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_STARTED_OUTSIDE = ("LOCAL_RANK", "SLURM_PROCID")
_STARTED_BY = "FLOWBENCH_STARTED_BY"
# Lightning's strategies that start processes by multiprocessing.
_OTHER_LAUNCHERS = ("spawn", "fork", "notebook")
_ANOTHER_FAILED = "Another process of this run failed; its message stands above."
_SECONDS_TO_FAIL = 5.0
_SECONDS_TO_NOTICE = 30.0


@contextmanager
def processes(trainer: DictConfig, run: Run, *, report: Callable[[str], None] | None = None) -> Iterator[None]:
    """Starts the run's other processes, and leaves the environment clean for the next job of a sweep.

    Behind it, no process belongs to a group any more: what is computed there is computed alone.

    Args:
        trainer: its devices say how many processes are needed.
        run: what the others are to do, too.
        report: called with the reason where this process must end at once, for it waits for one that is gone.
    """
    wanted = _wanted(trainer)
    others = [] if any(name in os.environ for name in _STARTED_OUTSIDE) else _start_others(wanted, run)
    over = threading.Event()
    threading.Thread(target=_end_if_one_fails, args=(others, over, report), daemon=True).start()
    if _STARTED_BY in os.environ:
        threading.Thread(target=_end_with, args=(int(os.environ[_STARTED_BY]),), daemon=True).start()
    try:
        yield
        _leave_group()
        _await(others)
    except Interrupted as end:
        # Where training was stopped, they stop by themselves; before that, they wait for this process.
        if end.step is not None:
            _has_ended(others, within=_SECONDS_TO_FAIL)
        raise
    except RuntimeError as error:
        if _STARTED_BY in os.environ and isinstance(error, torch.distributed.DistError):
            # The first process is gone from the group. What ended it, it tells itself, and ends this one by a signal.
            time.sleep(_SECONDS_TO_FAIL)
        if _has_failed(others, within=_SECONDS_TO_FAIL):
            raise _ending_of(others) from error
        raise
    finally:
        over.set()
        _end(others)
        _leave_group()
        if others:
            for name in _RENDEZVOUS:
                os.environ.pop(name, None)


def _wanted(trainer: DictConfig) -> int:
    """Processes that the trainer's devices need: one each, whatever its strategy is called."""
    wanted = _devices(trainer.get("devices", 1), on_cpu=trainer.get("accelerator") == "cpu")
    strategy = str(trainer.get("strategy", "auto"))
    if wanted > 1 and any(word in strategy for word in _OTHER_LAUNCHERS):
        raise FlowBenchError(
            f"trainer.strategy={strategy} starts processes of its own, which do not know this run: use trainer=ddp."
        )
    return wanted


def _devices(devices: Any, *, on_cpu: bool) -> int:
    if isinstance(devices, str) and "," in devices:
        return len([word for word in devices.split(",") if word.strip()])
    if isinstance(devices, str) and devices.lstrip("-").isdigit():
        devices = int(devices)
    if devices in ("auto", -1, None):
        return 1 if on_cpu else max(1, torch.cuda.device_count())
    return devices if isinstance(devices, int) else len(devices)


def _start_others(wanted: int, run: Run) -> list[subprocess.Popen[bytes]]:
    if wanted < 2:
        return []
    if not run.command:
        raise FlowBenchError(
            f"trainer.devices asks for {wanted} processes, which only a command line can start: use the program, "
            "or set devices=1."
        )
    os.environ |= {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "NODE_RANK": "0",
        "WORLD_SIZE": str(wanted),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
    }
    shared = os.environ | {_STARTED_BY: str(os.getpid())}
    return [
        subprocess.Popen(_command(run), env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(1, wanted)
    ]


def _command(run: Run) -> list[str]:
    own = [setting("hydra.run.dir", run.folder), "hydra.mode=RUN", "hydra.output_subdir=null"]
    own.append("hydra.hydra_logging.root.level=WARNING")
    words = [word for word in run.overrides if not word.startswith("hydra.")]
    return [*restarting(run.command[0]), *words, *own]


def _leave_group() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _await(others: list[subprocess.Popen[bytes]]) -> None:
    if any(other.wait() for other in others):
        raise _ending_of(others)


def _ending_of(others: list[subprocess.Popen[bytes]]) -> FlowBenchError | Interrupted:
    """What the end of others means for this process."""
    codes = {rank: code for rank, other in enumerate(others, start=1) if (code := other.poll())}
    asked = next((signum for code in codes.values() for signum in SIGNALS if code in (-signum, 128 + signum)), None)
    if asked is not None:
        return Interrupted(asked)
    for rank, code in codes.items():
        if code < 0:
            return FlowBenchError(f"{killed(f'Process {rank} of this run', -code)}; the others ended with it.")
    return FlowBenchError(_ANOTHER_FAILED)


def _end(others: list[subprocess.Popen[bytes]]) -> None:
    for other in others:
        other.terminate()
    for other in others:
        try:
            other.wait(_SECONDS_TO_FAIL)
        except subprocess.TimeoutExpired:
            # Lightning only notes the request to end; a process that waits for this one never gets to it.
            other.kill()
            other.wait()


def _has_failed(others: list[subprocess.Popen[bytes]], *, within: float) -> bool:
    """Whether one of them ends with an error in the given seconds."""
    return bool(others) and _within(within, lambda: any(other.poll() for other in others))


def _has_ended(others: list[subprocess.Popen[bytes]], *, within: float) -> bool:
    return _within(within, lambda: all(other.poll() is not None for other in others))


def _within(seconds: float, happened: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _end_if_one_fails(
    others: list[subprocess.Popen[bytes]], over: threading.Event, report: Callable[[str], None] | None
) -> None:
    """This process may wait for ever for one that is gone: it ends if it has not noticed after a while."""
    while any(other.poll() is None for other in others) and not over.wait(0.5):
        if any(other.poll() for other in others) and not over.wait(_SECONDS_TO_NOTICE):
            ending = _ending_of(others)
            print(f"error: {ending}", file=sys.stderr, flush=True)
            if report is not None:
                report(str(ending))
            os._exit(ending.exit_status if isinstance(ending, Interrupted) else 1)


def _end_with(starter: int) -> None:
    """Where the first process was killed, its others would wait for ever, and hold their devices."""
    while os.getppid() == starter:
        time.sleep(0.5)
    os._exit(1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
