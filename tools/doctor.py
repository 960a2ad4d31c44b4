"""Check a data set before training on it: python tools/doctor.py data=sintel"""

from flowbench.engine.cli import command
from flowbench.engine.doctor import doctor

if __name__ == "__main__":
    command(doctor, config="doctor")
