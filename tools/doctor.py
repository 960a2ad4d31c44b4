"""Check a data set before training on it: python tools/doctor.py data=sintel"""

from flowbench.engine.doctor import doctor
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(doctor, config="doctor")
