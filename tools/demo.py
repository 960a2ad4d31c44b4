"""The whole way on the built-in scenes: train, evaluate, predict. Started by `make demo`."""

from flowbench.engine.cli import command
from flowbench.engine.demo import demo

if __name__ == "__main__":
    command(demo, config="demo")
