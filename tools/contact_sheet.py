"""Look at samples of a data set: python tools/contact_sheet.py data=synthetic"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("contact_sheet")
