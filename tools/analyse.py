"""See how a DEQ converges, dimension by dimension: python tools/analyse.py ckpt=outputs/train/.../checkpoints/best.ckpt"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("analyse")
