"""A lock on the folder of a run: one program at a time trains in it."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from flowbench.engine.run.folder import CONFIG
from flowbench.engine.run.status import read_status
from flowbench.errors import FlowBenchError

log = logging.getLogger(__name__)

LOCK = ".lock"
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which the system itself releases when the process dies.

    The file stays, for whoever waits for it must not lock another one; only a folder in which no run came to be is left
    as it was. Raises FlowBenchError where another program holds the lock.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        status = read_status(folder)
        holder = f" (process {status['pid']} on {status['host']})" if {"pid", "host"} <= status.keys() else ""
        raise FlowBenchError(
            f"Another program{holder} is training in '{folder}': wait for its end, or choose another hydra.run.dir."
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
        log.warning("The file system of '%s' has no locks: see to it that only one program trains there.", folder)
    try:
        yield
    finally:
        if not (folder / CONFIG).exists():
            (folder / LOCK).unlink(missing_ok=True)
        lock.release()
