"""Export a network to a file that other programs run: python tools/export.py ckpt=best.ckpt"""

from flowbench.engine.export import export
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(export, config="export")
