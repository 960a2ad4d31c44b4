"""Export a network to a file that other programs run: python tools/export.py ckpt=best.ckpt"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("export")
