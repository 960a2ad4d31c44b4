"""Choose pictures for the built-in scenes: python tools/choose_pictures.py folder=unpacked to=pictures"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("choose_pictures")
