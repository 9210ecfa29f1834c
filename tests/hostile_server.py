"""A real web server on this machine that does what servers do to those who fetch from them."""

import gzip
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.pictures import encoded, scene

# "Outside" may be fetched from in tests; "inside" is another address of the same machine, and may not.
OUTSIDE, INSIDE = "127.0.0.1", "127.0.0.2"


@dataclass
class HostileServer:
    """Where it listens, what it was asked, and what else it serves."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    hosts: list[str | None] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    # A path's statuses to answer with before its file; each once.
    statuses: dict[str, list[int]] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    ending: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str, host: str = OUTSIDE) -> str:
        """The address of a path, by a host's name or address."""
        return f"http://{host}:{self.port}{path}"


def picture(width: int = 96) -> bytes:
    """A small PNG."""
    return encoded(scene(width, 64), "PNG")


@contextmanager
def serving() -> Iterator[HostileServer]:
    """The server on a free port, at the address outside and at the one inside, for the time of the block."""
    served = HostileServer()

    class Handler(_Handler):
        content = served

    with ThreadingHTTPServer((OUTSIDE, 0), Handler) as outside:
        served.port = outside.server_port
        with ThreadingHTTPServer((INSIDE, served.port), Handler) as inside:
            threads = [
                threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
                for server in (outside, inside)
            ]
            for thread in threads:
                thread.start()
            try:
                yield served
            finally:
                served.ending.set()
                for server in (outside, inside):
                    server.shutdown()
                for thread in threads:
                    thread.join()


class _Handler(BaseHTTPRequestHandler):
    content: HostileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.content.asked.append(self.path)
        self.content.hosts.append(self.headers.get("Host"))
        self.content.headers.append(dict(self.headers))
        waiting = self.content.statuses.get(self.path)
        if waiting:
            self._send(b"", status=waiting.pop(0))
        elif self.path in self.content.files:
            self._send(self.content.files[self.path])
        else:
            name, _, rest = self.path.strip("/").partition("/")
            tricks: dict[str, Callable[[str], None]] = {
                "picture": lambda _: self._send(picture()),
                "to": self._redirect,
                "around": lambda number: self._redirect(f"/around/{int(number or 0) + 1}"),
                "endless": self._endless,
                "endless-head": self._endless_head,
                "slow": self._slow,
                "bomb": lambda _: self._send(gzip.compress(picture() + bytes(50_000_000)), packed="gzip"),
                "packed": lambda _: self._send(gzip.compress(picture()), packed="gzip"),
                "not-packed": lambda _: self._send(picture(), packed="gzip"),
                "half-packed": lambda _: self._send(gzip.compress(picture())[:-40], packed="gzip"),
                "strange": lambda _: self._send(picture(), packed="br"),
                "page": lambda _: self._send(b"<!doctype html><p>hello"),
                "drawing": lambda _: self._send(b"<svg onload='alert(1)'>", kind="image/jpeg"),
                "film": lambda _: self._endless("", b"\x00\x00\x00\x18ftypmp42" + bytes(65_536)),
                "lies": lambda _: self._send(picture(), length=10_000_000_000),
                "cut": lambda _: self._send(picture()[:200], length=1_000),
                "status": lambda code: self._send(b"", status=int(code)),
            }
            tricks.get(name, lambda _: self._send(b"", status=404))(rest)

    def _send(
        self,
        body: bytes,
        status: int = 200,
        length: int | None = None,
        packed: str = "",
        kind: str = "text/plain",
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if packed:
            self.send_header("Content-Encoding", packed)
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _redirect(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _endless(self, _: str, first: bytes | None = None) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        piece = picture() if first is None else first
        with suppress(OSError):
            while not self.content.ending.is_set():
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.content.sent[self.path] += len(piece)
                piece = bytes(65_536)

    def _endless_head(self, _: str) -> None:
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.content.ending.is_set():
                self.wfile.write(b"X-More: more\r\n")
                time.sleep(0.05)

    def _slow(self, _: str) -> None:
        body = picture()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):
            for byte in body:
                self.wfile.write(bytes([byte]))
                if self.content.ending.wait(0.1):
                    return

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""
