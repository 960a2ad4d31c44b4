"""Programs run as a user runs them, on networks and scenes that are as small as they can be."""

import contextlib
import csv
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra

from flowbench.engine.cli import command

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


def start(program, *words, **options):
    """The program as a process that is still running. env: changes to the environment; None takes a variable out."""
    changes = {"OMP_NUM_THREADS": "1"} | options.pop("env", {})
    environment = {name: value for name, value in (os.environ | changes).items() if value is not None}
    return subprocess.Popen(
        [sys.executable, str(ROOT / program), *map(str, words)],
        env=environment,
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

    @property
    def told(self) -> str:
        return " ".join((self.stdout + self.stderr).split())


def run(program, *words, seconds=100, **options):
    """The program run to its end, in a process of its own."""
    process = start(program, *words, **options)
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return Ended(process.returncode, stdout, stderr)


def run_here(task, config, *words):
    """The program run to its end in this process, which saves the time to start one."""
    arguments = [f"{config}.py", *map(str, words), "hydra/job_logging=none", "hydra/hydra_logging=none"]
    before, sys.argv = sys.argv, arguments
    GlobalHydra.instance().clear()
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            command(task, config=config)
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    return Ended(code, stdout.getvalue(), stderr.getvalue())


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
