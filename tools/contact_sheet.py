"""Look at samples of a data set: python tools/contact_sheet.py data=synthetic"""

from flowbench.engine.contact_sheet import contact_sheet
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(contact_sheet, config="contact_sheet")
