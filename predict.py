"""Predict flow: python predict.py ckpt=outputs/train/.../checkpoints/best.ckpt input=clip.mp4"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("predict")
