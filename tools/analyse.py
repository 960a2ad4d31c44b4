"""See how a DEQ converges, dimension by dimension: python tools/analyse.py ckpt=outputs/train/.../checkpoints/best.ckpt"""

from flowbench.engine.analyse import analyse
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(analyse, config="analyse", positional="input")
