"""Measure speed and memory: python tools/benchmark.py model=raft_h"""

import sys

from flowbench.engine.benchmark import benchmark
from flowbench.engine.cli import command

SUBJECTS = ("model", "train", "lookup", "local", "data", "delta")

if __name__ == "__main__":
    sys.argv[1:] = [f"subject={word}" if word in SUBJECTS else word for word in sys.argv[1:]]
    command(benchmark, config="benchmark")
