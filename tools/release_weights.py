"""Write weights that FlowBench ships: python tools/release_weights.py ckpt=outputs/train/.../checkpoints/last.ckpt"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("release_weights")
