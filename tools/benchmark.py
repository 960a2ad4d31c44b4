"""Measure speed and memory: python tools/benchmark.py model=raft_h"""

from flowbench.engine.benchmark import benchmark
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(benchmark, config="benchmark", positional="subject")
