"""Train a model: python train.py model=raft_h data=synthetic"""

from flowbench.engine.run.cli import command
from flowbench.engine.train import train

if __name__ == "__main__":
    command(train, config="train")
