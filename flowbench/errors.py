"""The error that a user can fix."""


class FlowBenchError(Exception):
    """A problem that the user can fix.

    The message is one or two sentences: what was found, what was expected, what to do. The command-line programs print it
    without a traceback and exit with status 1.
    """
