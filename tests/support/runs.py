"""Programs run as a user runs them, on networks and scenes that are as small as they can be."""

import contextlib
import csv
import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

from hydra.core.global_hydra import GlobalHydra

from flowbench.engine.run.cli import command
from support.forked import run_as_main

ROOT = Path(__file__).resolve().parents[2]
NETWORK = ("model=raft_small", "model.network.iterations=2", "model.network.eval_iterations=2")
SMALL = (
    "data.scenes.size=[64,64]",
    "data.counts.val=4",
    "data.workers=0",
    "schedule.batch_size=2",
    "trainer.log_every_n_steps=1",
    "trainer.accelerator=cpu",
)
TWO_PROCESSES = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu")
# Most of a short run is the import of these: `run` forks from a process that has imported them.
_IMPORTED = multiprocessing.get_context("forkserver")
_IMPORTED.set_forkserver_preload(["torch", "pytorch_lightning", "hydra.main", "cv2"])


def start(program, *words, env=None, **options):
    """The program as a process that is still running. env: changes to the environment; None takes a variable out."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / program), *map(str, words)],
        env=_environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str
    result: Any = None

    @property
    def told(self) -> str:
        return " ".join((self.stdout + self.stderr).split())


def finished(process, seconds=100):
    """What a process of `start` ends with."""
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return Ended(process.returncode, stdout, stderr)


def run(program, *words, seconds=100, env=None, cwd=None):
    """The program run to its end, in a process of its own. env: as of `start`."""
    with tempfile.TemporaryDirectory() as folder:
        told = [Path(folder, name) for name in ("stdout", "stderr")]
        arguments = [str(ROOT / program), *map(str, words)]
        process = _IMPORTED.Process(target=run_as_main, args=(arguments, _environment(env), cwd or os.getcwd(), *told))
        process.start()
        try:
            process.join(seconds)
            assert process.exitcode is not None, (
                f"still running after {seconds} s: {[path.read_text() for path in told]}"
            )
        finally:
            process.kill()
        return Ended(process.exitcode, *(path.read_text() for path in told))


def _environment(changes):
    changes = {"OMP_NUM_THREADS": "1"} | (changes or {})
    return {name: value for name, value in (os.environ | changes).items() if value is not None}


def run_here(task, config, *words):
    """The program run to its end in this process, which saves the time to start one, with what its task returned."""
    results = []

    @wraps(task)
    def kept(settings, run):
        results.append(task(settings, run))

    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with _globals_of_a_process(f"{config}.py", *words, "hydra/job_logging=none", "hydra/hydra_logging=none"):
        try:
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                command(kept, config=config)
        except SystemExit as end:
            code = end.code
    return Ended(code, stdout.getvalue(), stderr.getvalue(), results[-1] if results else None)


@contextlib.contextmanager
def _globals_of_a_process(*arguments):
    """Lets a program change what a process of its own would take with it when it ends."""
    with (
        mock.patch.object(sys, "argv", [str(word) for word in arguments]),
        mock.patch.dict(os.environ),
        warnings.catch_warnings(),
    ):
        try:
            yield
        finally:
            # A program that fails before its task begins leaves Hydra set up.
            GlobalHydra.instance().clear()


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
