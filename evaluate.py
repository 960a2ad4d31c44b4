"""Evaluate a checkpoint: python evaluate.py ckpt=outputs/train/.../checkpoints/best.ckpt"""

from flowbench.engine.evaluate import evaluate
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(evaluate, config="evaluate")
