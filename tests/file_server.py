"""A real web server on this machine for tests of downloads: files with ranges, and what a model hub answers beside."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FileServer:
    """What it serves and what it was asked. `cut_after` closes that many answers after so many bytes each."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, dict[str, object]] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def gets(self, path: str) -> list[str | None]:
        """The Range header of every GET of a path."""
        return [range_ for method, asked, range_ in self.asked if (method, asked) == ("GET", path)]


@contextmanager
def serving() -> Iterator[FileServer]:
    """A server on a free port of the loopback, for the time of the block."""
    served = FileServer()

    class Handler(_Handler):
        content = served

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    content: FileServer

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        asked_range = self.headers.get("Range")
        self.content.asked.append((self.command, self.path, asked_range))
        if self.path in self.content.statuses:
            self._start(self.content.statuses[self.path], 0)
        elif self.path.split("?")[0] in self.content.facts:
            body = json.dumps(self.content.facts[self.path.split("?")[0]]).encode()
            self._start(200, len(body))
            self.wfile.write(body if with_body else b"")
        elif self.path in self.content.files:
            self._send(self.content.files[self.path], asked_range, with_body)
        else:
            self._start(404, 0)

    def _send(self, whole: bytes, asked_range: str | None, with_body: bool) -> None:
        start = (
            int(asked_range.removeprefix("bytes=").rstrip("-")) if asked_range and self.content.ranges else 0
        )
        if start >= len(whole) > 0:
            self._start(416, 0)
            return
        part = whole[start:]
        self._start(206 if start else 200, len(part), hashlib.sha256(whole).hexdigest())
        if with_body:
            cut = self.content.cut_after.pop(0) if self.content.cut_after else len(part)
            self.wfile.write(part[:cut])

    def _start(self, status: int, length: int, etag: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("X-Repo-Commit", COMMIT)
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""
