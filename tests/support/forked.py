"""What a forked process runs, in a module that imports nothing of the package: a program imports it from its own folder."""

import atexit
import gc
import os
import runpy
import sys
from pathlib import Path


def run_as_main(arguments, environment, cwd, stdout, stderr):
    """Runs the program arguments[0] in this process as the command line does, its output in two files."""
    # What the process was forked with is not its garbage.
    gc.freeze()
    for path, stream in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv[:] = arguments
    sys.path.insert(0, str(Path(arguments[0]).parent))
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        # A process of multiprocessing leaves out what others do at their end.
        atexit._run_exitfuncs()
