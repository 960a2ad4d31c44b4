"""Status of a run: status.json in its folder."""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import Any

from flowbench.io.atomic import written_aside

STATUS = "status.json"


class RunStatus:
    """Writes status.json: running, finished, failed and why, or interrupted at which step.

    A run that was killed still says "running": its process, on that host, is then gone.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / STATUS

    def running(self) -> None:
        self._write({"state": "running", "host": socket.gethostname(), "pid": os.getpid(), "started": _now()})

    def finished(self, step: int) -> None:
        self._end({"state": "finished", "step": step})

    def failed(self, why: str) -> None:
        """Of several processes that fail, the first gives the reason; a run that never started has no status."""
        self._end({"state": "failed", "why": why})

    def interrupted(self, signal: str, step: int | None) -> None:
        """step: the one before which the run stopped and was saved, None before its first."""
        self._end({"state": "interrupted", "signal": signal, "step": step})

    def _end(self, outcome: dict[str, Any]) -> None:
        status = read_status(self.path.parent)
        if status.get("state") == "running":
            self._write(status | outcome | {"ended": _now()})

    def _write(self, status: dict[str, Any]) -> None:
        with written_aside(self.path) as aside:
            aside.write_text(json.dumps(status, indent=2) + "\n")


def read_status(folder: Path) -> dict[str, Any]:
    """The content of a run's status.json; empty where there is none, or none that can be read."""
    try:
        status = json.loads((folder / STATUS).read_text())
    except (OSError, ValueError):
        return {}
    return status if isinstance(status, dict) else {}


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
