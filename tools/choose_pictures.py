"""Choose pictures for the built-in scenes: python tools/choose_pictures.py folder=unpacked to=pictures"""

from flowbench.engine.choose_pictures import choose_pictures
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(choose_pictures, config="choose_pictures")
