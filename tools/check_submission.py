"""Check a submission before it is uploaded: python tools/check_submission.py data=sintel submission=<folder>"""

from flowbench.engine.check_submission import check_submission
from flowbench.engine.run.cli import command

if __name__ == "__main__":
    command(check_submission, config="check_submission")
