"""Check a submission before it is uploaded: python tools/check_submission.py data=sintel submission=<folder>"""

from flowbench.console import run_program

if __name__ == "__main__":
    run_program("check_submission")
