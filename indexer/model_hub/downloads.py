"""Files from the network: continued where they stopped, checked by SHA-256, in place only when whole.

Hugging Face's own library begins a file anew after an interruption, which hurts at five gigabytes; so it is asked
what a file is, and the bytes are fetched here.
"""

import hashlib
import http
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from indexer.errors import DownloadError
from indexer.model_hub.home import is_full, shown_bytes

# (what is going on, bytes in all or None) -> a context in which to call with the bytes that have been dealt with
Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], object]]]

TIMEOUT_S = 30.0
ATTEMPTS = 5
_PAUSE_S = 1.0
_CHUNK = 1 << 20
_AGENT = "sightline"
_LARGER = 1.25
_PASSING = (408, 425, 429, 500, 502, 503, 504)


class Refused(DownloadError):
    """The server was reached and does not give the file."""


@contextmanager
def silent(_what: str, _total: int | None) -> Iterator[Callable[[int], object]]:
    """Progress nobody watches."""
    yield lambda _count: None


def file_digest(file: Path, advance: Callable[[int], object] = lambda _count: None) -> str:
    """SHA-256 in hex; `advance` is told how many more bytes were read."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK))
    with file.open("rb", buffering=0) as opened:
        while count := opened.readinto(buffer):
            digest.update(buffer[:count])
            advance(count)
    return digest.hexdigest()


def download(url: str, target: Path, sha256: str, size: int, progress: Progress = silent) -> Path:
    """Bring a file here, continuing `target`.partial if there is one; returns `target`.

    Args:
        sha256: what it must be, in hex.
        size: bytes it was published with; a file a quarter larger is not taken.
        progress: shows how far it is.

    Raises:
        DownloadError: no network, refused, or not the published file (which is deleted then).
        OSError: the disk is full or cannot be written; what came so far is kept to be continued.
    """
    if target.is_file() and file_digest(target) == sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    with progress(f"Downloading {target.name}", size) as advance:
        _fetch_all(url, partial, int(size * _LARGER), advance)
    with progress(f"Checking {target.name}", _size(partial)) as advance:
        found = file_digest(partial, advance)
    if found != sha256:
        partial.unlink()
        raise DownloadError(
            f"{url} gave another file than the published one (SHA-256 {found[:16]}…, not {sha256[:16]}…). It was"
            " deleted. Try again; if it stays so, a proxy alters it or the publisher has replaced it."
        )
    partial.replace(target)
    return target


def _fetch_all(url: str, partial: Path, limit: int, advance: Callable[[int], object]) -> None:
    """Fetch until complete; failures are counted anew whenever something came."""
    begun, failures = _size(partial), 0
    advance(begun)
    while True:
        before = _size(partial)
        try:
            total = _fetch(url, partial, limit, advance)
            if total is None or _size(partial) >= total:
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                return  # it was whole already
            reason = f"the server answers {error.code} {error.reason}"
            if error.code not in _PASSING:
                raise Refused(f"{url} is not to be had: {reason}") from error
        except (OSError, http.client.HTTPException) as error:
            if is_full(error):
                raise
            reason = str(getattr(error, "reason", "") or error or type(error).__name__)
            if isinstance(error, urllib.error.URLError) and before == begun:
                failures = ATTEMPTS  # no connection at all: waiting will not help
        failures = 1 if _size(partial) > before else failures + 1
        if failures >= ATTEMPTS:
            raise DownloadError(f"{url} cannot be reached: {reason}")
        time.sleep(_PAUSE_S * failures)


def _size(file: Path) -> int:
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def _fetch(url: str, partial: Path, limit: int, advance: Callable[[int], object]) -> int | None:
    """Append what is missing, from the start if the server gives no parts; the bytes of the whole, where it says."""
    have = _size(partial)
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers | ({"Range": f"bytes={have}-"} if have else {}))  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - addresses are our own data
        is_part = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        start = have if is_part else 0
        length = answer.headers.get("Content-Length")
        advance(start - have)
        with partial.open("ab" if is_part else "wb") as out:
            for chunk in iter(lambda: answer.read(_CHUNK), b""):
                out.write(chunk)
                advance(len(chunk))
                if out.tell() > limit:
                    out.truncate(0)
                    raise Refused(
                        f"{url} is larger than the published {shown_bytes(limit / _LARGER)}: not taken"
                    )
    return None if length is None else start + int(length)
