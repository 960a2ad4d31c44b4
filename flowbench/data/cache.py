"""A cache of decoded samples on disk, for runs of many epochs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from torch.utils.data import get_worker_info

from flowbench.data.cache_files import Stamp, encode, map_sample
from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.structures import FlowDataset, FlowSample

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # a module elsewhere

log = logging.getLogger(__name__)

_SUFFIX = ".pair"
_LOCK = "bytes_kept.lock"
# Seconds. A lock is held for milliseconds, unless its holder was stopped: no process waits for that.
_PATIENCE = 1.0


class CachedSamples(FlowDataset):
    """The samples of a data set of files, decoded once: cached ones are mapped into memory, others are read and stored.

    A cached sample is valid while its files have the paths, sizes and times that they had when it was decoded. Data sets
    and runs may share a cache. Raises FlowBenchError for samples that are not decoded from files.
    """

    def __init__(self, samples: FlowDataset, cache: SampleCache) -> None:
        if not isinstance(samples, PairFiles):
            raise FlowBenchError(
                f"data.cache keeps what was decoded from files, and {type(samples).__name__} has none: set data.cache=null."
            )
        self.samples = samples
        self.cache = cache

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> FlowSample:
        paths = self.samples.pairs[index]
        # Before the files are read: one that is written meanwhile gets another stamp, and is read again.
        stamp = _stamp(paths)
        if stamp is None:
            return self.samples[index]
        name = _name(paths)
        kept = self.cache.get(name, stamp)
        if kept is not None:
            return replace(kept, key=paths.key)
        sample = self.samples[index]
        self.cache.put(name, stamp, sample)
        return sample


def _stamp(paths: PairPaths) -> Stamp | None:
    try:
        found = [os.stat(file) for file in paths.files]
    except (OSError, ValueError):
        return None
    return [(status.st_size, status.st_mtime_ns) for status in found]


def _name(paths: PairPaths) -> str:
    """Everything that the sample depends on but the files' content; the key it does not."""
    parts = {field: _absolute(value) for field, value in vars(paths).items() if field != "key"}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _absolute(value: object) -> object:
    return os.path.abspath(value) if isinstance(value, Path) else value


class SampleCache:
    """A folder of decoded samples, at most `gigabytes` (of 10^9 bytes) of them, which any number of processes may share.

    When it is full, nothing more is stored, and nothing is evicted: passes are shuffled, so every sample is needed again
    soon. A failed write (disk full, no permission, no file locks) ends the storing with a warning; reading goes on. The
    folder is created with the first sample.

    Writes are atomic. The writer holds a lock, which the system releases when a process is killed: so every unfinished file
    that it finds was left by a killed process. The lock's file holds the total of bytes, which each process counts anew
    the first time that it stores something.

    Raises FlowBenchError for a size that is not above zero.
    """

    def __init__(self, folder: str | Path, gigabytes: float) -> None:
        if isinstance(gigabytes, bool) or not isinstance(gigabytes, int | float) or not gigabytes > 0:
            raise FlowBenchError(f"data.cache.gigabytes={gigabytes}: a number above zero is needed.")
        self.folder = Path(folder).absolute()
        self.gigabytes = gigabytes
        self._counted = False
        self._full = False
        self._refused = False

    def get(self, name: str, stamp: Stamp) -> FlowSample | None:
        """The sample without its key, its arrays mapped into memory; None where it is missing, outdated or damaged."""
        return map_sample(self._path(name), stamp)

    def put(self, name: str, stamp: Stamp, sample: FlowSample) -> None:
        """Stores the sample if there is room, and removes an outdated or damaged file of it.

        Args:
            name: of the sample's file, without its suffix.
            stamp: sizes and times of the files that it was decoded from.
            sample: without augmentation.
        """
        path = self._path(name)
        if self._refused or (self._full and not path.exists()):
            return
        content = encode(sample, stamp)
        try:
            with self._alone() as lock:
                # Another process may have been faster.
                if map_sample(path, stamp) is None:
                    self._store(path, content, lock)
        except BlockingIOError:
            # Others keep the lock: the next pass will store it.
            return
        except (OSError, FlowBenchError) as error:
            self._refused = True
            _log_once(logging.WARNING, "data.cache stores no more, and training goes on without: %s", error)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_SUFFIX}"

    def _store(self, path: Path, content: bytes, lock: BinaryIO) -> None:
        kept = self._bytes_kept(lock) - (path.stat().st_size if path.exists() else 0)
        # Removed, not overwritten: processes that have it mapped keep the old content.
        path.unlink(missing_ok=True)
        has_room = kept + len(content) <= 1e9 * self.gigabytes
        # Counted before it is written: killed in between, the count is too high rather than too low.
        _write_number(lock, kept + len(content) if has_room else kept)
        if has_room:
            with written_aside(path) as aside:
                aside.write_bytes(content)
        elif not self._full:
            self._full = True
            _log_once(logging.INFO, "data.cache is full (%.3g GB): other pairs are read from their files.", kept / 1e9)

    @contextmanager
    def _alone(self) -> Iterator[BinaryIO]:
        """Holds the lock and yields its file. Raises BlockingIOError where others do not release it in time."""
        if fcntl is None:
            raise OSError("this system has no file locks")
        self.folder.mkdir(parents=True, exist_ok=True)
        # Opened anew each time: processes that were forked would share an open file, and its lock.
        with open(self.folder / _LOCK, "a+b") as file:
            last = time.monotonic() + _PATIENCE
            while not _is_locked(file, last):
                time.sleep(0.002)
            yield file

    def _bytes_kept(self, lock: BinaryIO) -> int:
        lock.seek(0)
        written = lock.read()
        if self._counted and written.isdigit():
            return int(written)
        self._counted = True
        return self._count()

    def _count(self) -> int:
        """The bytes of all samples; unfinished files of killed processes are removed."""
        kept = 0
        for entry in os.scandir(self.folder):
            if entry.name.endswith(_SUFFIX) and entry.name.startswith("."):
                os.unlink(entry)
            elif entry.name.endswith(_SUFFIX):
                kept += entry.stat().st_size
        return kept


def _is_locked(file: BinaryIO, last: float) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if time.monotonic() >= last:
            raise
        return False
    return True


def _write_number(file: BinaryIO, number: int) -> None:
    file.truncate(0)
    file.write(str(number).encode())
    file.flush()


def _log_once(level: int, message: str, *words: object) -> None:
    # All workers log the same; one is enough.
    worker = get_worker_info()
    if worker is None or worker.id == 0:
        log.log(level, message, *words)
