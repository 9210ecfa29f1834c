"""Bodies that are too much, too slow or not what they say, over real connections."""

import contextlib
import socket
import time
from collections.abc import Iterator
from itertools import chain, repeat

import httpx
import psutil
import pytest

from indexer.settings import Settings
from search_api import bodies, patience
from tests.search_api.live import served

LIMIT = 8 * 2**20
TEN_GB = 10 * 2**30
FORM = b"Content-Type: multipart/form-data; boundary=edge\r\n"
PART = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'


@pytest.fixture(scope="module")
def port(web_settings: Settings) -> Iterator[int]:
    """A server that takes eight mebibytes a request."""
    settings = web_settings.model_copy(
        update={"access": web_settings.access.model_copy(update={"max_request_bytes": LIMIT})}
    )
    with served(settings) as address:
        yield int(address.rpartition(":")[2])


@contextlib.contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        yield line


def _head(path: str, *headers: bytes, method: str = "POST") -> bytes:
    start = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
    return start + b"".join(headers) + b"\r\n"


def _answer(line: socket.socket) -> bytes:
    """All that comes until the server closes the connection, which it must."""
    heard = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := line.recv(65536):
            heard += piece
    return heard


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _send(line: socket.socket, pieces: Iterator[bytes]) -> int:
    """How many bytes were taken before the other side would take no more."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            line.sendall(piece)
            sent += len(piece)
    return sent


@pytest.mark.parametrize(
    ("path", "headers"), [("/v1/images", FORM), ("/v1/examples", b"Content-Type: image/png\r\n")]
)
def test_ten_gigabytes_announced(port: int, path: str, headers: bytes) -> None:
    """Refused at once, with the limit, and nothing of it is waited for."""
    started = time.monotonic()
    with _connected(port) as line:
        line.sendall(_head(path, headers, b"Content-Length: %d\r\n" % TEN_GB, b"Expect: 100-continue\r\n"))
        answer = _answer(line)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer
    assert b"8,388,608" in answer
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("path", ["/v1/images", "/v1/search", "/v1/edits"])
def test_ten_gigabytes_streamed(port: int, path: str) -> None:
    """Without a length: cut soon after the limit, the sender disconnected, no memory taken."""
    megabyte = _chunk(b"x" * 2**20)
    stream = chain([_chunk(PART)], repeat(megabyte, 10 * 1024))
    before = psutil.Process().memory_info().rss
    with _connected(port) as line:
        line.sendall(_head(path, FORM, b"Transfer-Encoding: chunked\r\n"))
        sent = _send(line, stream)
    assert sent < LIMIT + bodies.DRAINED_BYTES + 16 * 2**20  # what lies in the sockets' own buffers
    assert psutil.Process().memory_info().rss - before < 64 * 2**20


def test_the_refusal_is_heard(port: int) -> None:
    """Whoever sends a little too much, and then listens, hears why rather than finding the line cut."""
    with _connected(port) as line:
        line.sendall(_head("/v1/search", b"Content-Length: 1500000\r\n") + b" " * 1_500_000)
        line.sendall(_head("/healthz", b"Connection: close\r\n", method="GET"))
        answer = _answer(line)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'{"status":"ok"}' in answer  # the line was good for another request


@pytest.mark.parametrize("path", ["/v1/images", "/v1/search"])
def test_one_byte_at_a_time(port: int, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that trickles is refused when its time is over, however steadily it comes."""
    monkeypatch.setattr(bodies, "GRACE_S", 0.5)
    monkeypatch.setattr(bodies, "DRAINED_S", 0.1)
    started = time.monotonic()
    with _connected(port) as line:
        line.sendall(_head(path, FORM, b"Content-Length: 1000\r\n") + PART)
        line.settimeout(0.05)
        heard = b""
        while not heard and time.monotonic() - started < 20:
            with contextlib.suppress(TimeoutError):
                line.sendall(b"x")
                heard = line.recv(65536)
    assert heard.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - started < 10


def test_a_head_that_never_ends(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that never comes to its request is closed; one that comes in time is served, and again."""
    monkeypatch.setattr(patience, "HEAD_S", 0.5)
    with _connected(port) as silent, _connected(port) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        for _ in range(60):
            with contextlib.suppress(ConnectionError):
                slow.sendall(b"X-A: b\r\n")
            time.sleep(0.02)
        assert _answer(slow) == b""
        assert _answer(silent) == b""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as prompt:
        for _ in range(3):
            assert prompt.get("/healthz").status_code == 200
            time.sleep(0.3)


@pytest.mark.parametrize(
    ("lie", "status"),
    [
        (b"Content-Length: -5\r\n", b"400"),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"400"),
        (b"Content-Length: 5, 6\r\n", b"400"),
        (b"Content-Length: 0x10\r\n", b"400"),
        (b"Content-Length: 99999999999999999999\r\n", b"413"),
        (b"Transfer-Encoding: gzip\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"400"),
    ],
)
def test_lengths_that_lie(port: int, lie: bytes, status: bytes) -> None:
    """What says two things of where it ends is not read at all: that is how requests are smuggled."""
    with _connected(port) as line:
        line.sendall(_head("/v1/search", lie) + b"{}   ")
        assert _answer(line).startswith(b"HTTP/1.1 " + status)


def test_less_than_announced(port: int) -> None:
    """A body that ends before its length is no request: nothing of it is done."""
    with _connected(port) as line:
        line.sendall(_head("/v1/collections", b"Content-Length: 30\r\n") + b'{"name": "cut"}')
        line.shutdown(socket.SHUT_WR)
        _answer(line)
    with _connected(port) as line:
        line.sendall(_head("/v1/collections", b"Connection: close\r\n", method="GET"))
        assert b"cut" not in _answer(line)
