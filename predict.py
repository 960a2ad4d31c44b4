"""Predict flow: python predict.py ckpt=outputs/train/.../checkpoints/best.ckpt input=clip.mp4"""

from flowbench.engine.cli import command
from flowbench.engine.predict import predict

if __name__ == "__main__":
    command(predict, config="predict", positional="input")
