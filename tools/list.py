"""List models, data sets and weights: python tools/list.py weights"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("list")
