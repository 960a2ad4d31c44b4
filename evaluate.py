"""Evaluate a checkpoint: python evaluate.py ckpt=outputs/train/.../checkpoints/best.ckpt"""

from flowbench.engine.cli import command
from flowbench.engine.evaluate import evaluate

if __name__ == "__main__":
    command(evaluate, config="evaluate")
