"""Predict flow: python predict.py ckpt=outputs/train/.../checkpoints/best.ckpt input=clip.mp4"""

from flowbench.engine.predict import predict
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(predict, config="predict", positional="input")
