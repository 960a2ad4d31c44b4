"""Export a network to a file that other programs run: python tools/export.py ckpt=best.ckpt"""

from flowbench.engine.cli import command
from flowbench.engine.export import export

if __name__ == "__main__":
    command(export, config="export")
