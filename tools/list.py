"""List models, data sets and weights: python tools/list.py weights"""

from flowbench.engine.listing import listing
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(listing, config="list", positional="what")
