"""Check a data set before training on it: python tools/doctor.py data=sintel"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("doctor")
