"""Statistics of one data set's pairs beside another's: python tools/data_statistics.py data=synthetic data@beside=sintel"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("data_statistics")
