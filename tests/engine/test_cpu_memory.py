"""Freed memory stays with the program unless the user wants it back."""

import json
import subprocess
import sys

import pytest
from support.runs import NETWORK, ROOT, SMALL, run_here

from flowbench.engine.run import cli
from flowbench.engine.run.cpu_memory import can_keep_freed_memory
from flowbench.engine.train import train

# Freed three times over; what the process then still holds of it, in MiB.
HELD = """
import re, sys
import numpy
from flowbench.engine.run.cpu_memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(3):
    numpy.ones(25_000_000)
print(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(not can_keep_freed_memory(), reason="needs glibc")
def test_what_is_kept_stays_with_the_process():
    held = {
        word: int(subprocess.run([sys.executable, "-c", HELD, word], cwd=ROOT, capture_output=True, check=True).stdout)
        for word in ("keep", "return")
    }
    assert held["keep"] - held["return"] > 150_000


@pytest.mark.parametrize("chosen", ["true", "false"])
def test_a_run_does_and_records_what_was_chosen(chosen, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: calls.append("kept"))
    words = (*NETWORK, *SMALL, "schedule.steps=1", "data.counts.val=1", "callbacks.pictures=null")
    ended = run_here(train, "train", *words, f"keep_freed_memory={chosen}", f"hydra.run.dir={tmp_path}")
    assert ended.code == 0, ended.told
    assert calls == ["kept"] * (chosen == "true")
    recorded = json.loads((tmp_path / "provenance.json").read_text())["keep_freed_memory"]
    assert recorded == (chosen == "true" and can_keep_freed_memory())
