"""A web server of this machine that misbehaves as it is told."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """Serves `files`, by name.

    Args:
        breaks_off: the next answers end after so many bytes each, though they announce all.
        takes_ranges: whether it sends the rest of a file that was begun.
        announces: whether it says how long an answer is.
        slow: an event that answers wait for.
        requests: the Range header of every request, None for one without.
    """

    files: dict[str, bytes]
    breaks_off: list[int] = field(default_factory=list)
    takes_ranges: bool = True
    announces: bool = True
    slow: threading.Event | None = None
    requests: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[FileServer]:
    settings = FileServer(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            settings.requests.append(self.headers["Range"])
            content = settings.files.get(self.path.lstrip("/"))
            if content is None:
                return self.send_error(404)
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "") if settings.takes_ranges else None
            begin = int(asked[1]) if asked else 0
            if asked and begin >= len(content):
                return self.send_error(416)
            self.send_response(206 if asked else 200)
            if settings.announces:
                self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            if settings.slow:
                settings.slow.wait(20)
            end = begin + settings.breaks_off.pop(0) if settings.breaks_off else len(content)
            self.wfile.write(content[begin:end])
            return None

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    settings.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield settings
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
