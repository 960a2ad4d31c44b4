"""Checks that a file is a checkpoint, and a complete one."""

from __future__ import annotations

import html
import re
import zipfile
from pathlib import Path

from flowbench.errors import FlowBenchError

_ZIP = b"PK\x03\x04"
# Bytes of a file's beginning that are read to tell its kind.
_START = 4096
_ARCHIVES = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7z", b"Rar!": "RAR"}


def check_file(path: Path) -> None:
    """Raises FlowBenchError for a file that is no checkpoint, with the kind of file that it is, and for a damaged record.

    A checkpoint of PyTorch is a ZIP archive, whose every record has a checksum. Older files have none, and pass.
    """
    with open(path, "rb") as file:
        start = file.read(_START)
    if start.startswith(_ZIP):
        _check_records(path)
    elif found := _kind(start):
        raise FlowBenchError(f"'{path}' is no checkpoint, but {found}")


def is_safetensors(path: Path) -> bool:
    """Whether the file is called so, or begins as such files do: with the length of a header, and its brace."""
    if path.suffix == ".safetensors":
        return True
    with open(path, "rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size - 8


def _check_records(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if not any(name.endswith("data.pkl") for name in names):
                listed = ", ".join(names[:3])
                raise FlowBenchError(f"'{path}' is no checkpoint, but a ZIP archive of {listed}: unpack it first.")
            if any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist()):
                raise FlowBenchError(f"'{path}' holds compressed records, which no checkpoint does: it was not loaded.")
            damaged = archive.testzip()
    except FlowBenchError:
        raise
    except Exception as error:  # A damaged directory makes zipfile raise anything.
        raise FlowBenchError(
            f"'{path}' is not a readable checkpoint: it is cut short or damaged ({error}). Fetch or copy it again."
        ) from error
    if damaged is not None:
        raise FlowBenchError(
            f"'{path}' is damaged: its record '{damaged}' does not match its checksum. Fetch or copy it again."
        )


def _kind(start: bytes) -> str | None:
    """What a file is that begins so, and what to do; None where it may be a checkpoint."""
    if not start:
        return "an empty file: fetch or copy it again."
    for magic, name in _ARCHIVES.items():
        if start.startswith(magic):
            return f"an archive ({name}): unpack it first."
    text = _text(start)
    if text is None:
        return None
    if text.startswith("version https://git-lfs"):
        return "a pointer of git-lfs, which stands for the file itself: fetch that with git lfs pull."
    if re.match(r"<(!doctype html|html|head|\?xml)", text, re.IGNORECASE):
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        named = f" ('{_shortened(html.unescape(title[1]))}')" if title else ""
        return f"a web page{named}: the download gave a page instead of the file. Fetch it with a browser."
    return f"a text that begins with '{_shortened(text)}': fetch the file itself."


def _text(start: bytes) -> str | None:
    # Pickles begin with this byte; all that old files of PyTorch hold are pickles and archives.
    if start.startswith(b"\x80") or any(byte < 9 for byte in start):
        return None
    return start.decode("utf-8-sig", errors="replace").lstrip()


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 60 else f"{words[:57]}..."
