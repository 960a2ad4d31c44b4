"""Downloads of one file that is there completely or not at all."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from flowbench.errors import FlowBenchError

_TIMEOUT = 30  # seconds without an answer
_CHUNK = 1 << 16
_ATTEMPTS = 2
_NETWORK_ERRORS = (OSError, http.client.HTTPException)


class _BrokenOffError(Exception):
    """The connection ended before the file did."""


def fetch(url: str, target: Path, *, sha256: str) -> None:
    """Downloads a file once, for all processes of this machine: whoever comes second waits for the first.

    What has arrived is kept in <target>.part, where a later call goes on. Only a complete and checked file gets its name.

    Args:
        url: of the file.
        target: the path that it is to have.
        sha256: its first digits; empty where it is not known.

    Raises FlowBenchError, with what to do by hand, where the file cannot be had, or is another one.
    """
    part = target.with_name(f"{target.name}.part")
    with _written(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
    with lock:
        if target.is_file():
            return
        _download(url, part, target)
        with _written(target):
            digits = sha256_of(part)
            if not digits.startswith(sha256):
                part.unlink()
                raise FlowBenchError(
                    f"What {url} sent is not {target.name}: its sha256 begins with {digits[:8]}, not with {sha256[:8]}, and "
                    f"it was deleted. Try again, or {_by_hand(url, target)}."
                )
            os.replace(part, target)


def _download(url: str, part: Path, target: Path) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _continue(url, part, target)
        except HTTPError as error:
            raise FlowBenchError(
                f"{url}: the server answers {error.code} {error.reason}, so the file may have moved: look for {target.name} "
                f"at its source, and put it into {target.parent}."
            ) from error
        except _BrokenOffError as error:
            if attempt == _ATTEMPTS:
                raise FlowBenchError(
                    f"{url} broke off {error}, twice: run the same command again, which goes on from there, or "
                    f"{_by_hand(url, target)}."
                ) from error
        except URLError as error:
            raise FlowBenchError(
                f"{url} cannot be reached ({error.reason}): check the network, or {_by_hand(url, target)}."
            ) from error
    raise AssertionError("the last attempt returns or raises")


def _continue(url: str, part: Path, target: Path) -> None:
    """Adds to the partial file what it lacks."""
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = _opened(request)
    except HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        return  # Nothing is left to send; the sha256 tells whether it is the file.
    with answer:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            have = 0  # A server without ranges sends all of it.
        length = answer.headers.get("Content-Length")
        whole = have + int(length) if length else None
        with _written(target), open(part, "ab" if have else "wb") as file:
            arrived = _copy(answer, file, title=target.name, have=have, whole=whole)
    if whole is not None and arrived < whole:
        raise _BrokenOffError(f"after {arrived:,} of {whole:,} bytes")


def _opened(request: Request) -> Any:
    try:
        return urlopen(request, timeout=_TIMEOUT)
    except URLError:
        raise
    except _NETWORK_ERRORS as error:
        raise _BrokenOffError(f"before its first byte ({error or type(error).__name__})") from error


def _copy(answer: Any, file: BinaryIO, *, title: str, have: int, whole: int | None) -> int:
    """Copies until the answer ends; the size of the file then."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=whole, completed=have)
        while chunk := _chunk(answer, have):
            file.write(chunk)
            have += len(chunk)
            progress.update(task, completed=have)
    return have


def _chunk(answer: Any, have: int) -> bytes:
    try:
        chunk: bytes = answer.read(_CHUNK)
    except _NETWORK_ERRORS as error:
        raise _BrokenOffError(f"after {have:,} bytes") from error
    return chunk


@contextmanager
def _written(target: Path) -> Iterator[None]:
    """Errors of the disk as a sentence."""
    try:
        yield
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise FlowBenchError(
            f"{target} cannot be written ({why}): free some space or choose another folder with FLOWBENCH_CACHE=<folder>, "
            "and run the same command again."
        ) from error


def sha256_of(path: Path) -> str:
    """The sha256 of a file, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _by_hand(url: str, target: Path) -> str:
    return f"fetch {url} on another machine and put it into {target.parent} as {target.name}"
