"""Statistics of one data set's pairs beside another's: python tools/data_statistics.py data=synthetic data@beside=sintel"""

from flowbench.engine.cli import command
from flowbench.engine.data_statistics import data_statistics

if __name__ == "__main__":
    command(data_statistics, config="data_statistics")
