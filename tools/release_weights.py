"""Write weights that FlowBench ships: python tools/release_weights.py ckpt=outputs/train/.../checkpoints/last.ckpt"""

from flowbench.engine.release_weights import release_weights
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(release_weights, config="release_weights")
