"""The whole way on the built-in scenes: train, evaluate, predict. Started by `make demo`."""

from flowbench.engine.demo import demo
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(demo, config="demo")
