"""Evaluate a checkpoint: python evaluate.py ckpt=outputs/train/.../checkpoints/best.ckpt"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("evaluate")
