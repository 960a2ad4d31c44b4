"""Measure speed and memory: python tools/benchmark.py model=raft_h"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("benchmark")
