"""Statistics of one data set's pairs beside another's: python tools/data_statistics.py data=synthetic data@beside=sintel"""

from flowbench.engine.data_statistics import data_statistics
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(data_statistics, config="data_statistics")
