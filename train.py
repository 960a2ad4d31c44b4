"""Train a model: python train.py model=raft_h data=synthetic"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("train")
