"""Files that are either complete or absent."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowbench.errors import FlowBenchError

_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}(\.[^.]+)?")


@contextmanager
def written_aside(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which replaces `path` when the block ends without an error.

    Readers of `path` see the old file or the complete new one, never a part. The temporary path keeps the suffix, by which
    some writers choose their format. Missing parent folders are created. When the block fails, the temporary file is
    removed and `path` stays as it was.

    Raises FlowBenchError, naming `path`, when the system refuses: disk full, no permission, not a folder. For a full
    disk to be seen, give torch.save an open file: with a path, it raises a RuntimeError that does not name the cause.
    """
    path = Path(path)
    aside = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        _flush_to_disk(aside)
        os.replace(aside, path)
    except FlowBenchError:
        raise
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        raise FlowBenchError(
            f"{path}: cannot be written ({refusal.strerror or refusal}). Check the free space and the permissions of "
            f"{path.parent}, or choose another folder."
        ) from error
    finally:
        _remove(aside)


def kept_as(path: Path, other: Path) -> None:
    """Gives the file a second name, under which it stays when `path` is written anew; nothing where there is no file."""
    if not path.exists():
        return
    with written_aside(other) as aside:
        try:
            os.link(path, aside)
        except OSError:
            # Not every file system has links.
            shutil.copyfile(path, aside)


def remove_leftovers(folder: Path) -> list[Path]:
    """Removes the temporary files that a killed process left in this one folder; only where nobody else writes there."""
    left = [path for path in folder.glob(".*") if _ASIDE.fullmatch(path.name) and path.is_file()]
    for path in left:
        path.unlink()
    return left


def _refusal(error: BaseException | None) -> OSError | None:
    """The OSError among an exception and its causes."""
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    return error


def _flush_to_disk(path: Path) -> None:
    # Without this a power cut after the rename can leave an empty file under the final name.
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    # Where even the removal is refused, the error that brought us here is the one to report.
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
