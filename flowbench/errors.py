"""The errors that a user can mend."""


class FlowBenchError(Exception):
    """Something that the user can put right.

    The message is one sentence or two: what was found, what was expected, what to do. The command-line programs print it
    without a traceback and exit with status 1.
    """
