"""One picture by http or https.

Everything a server may do instead of sending a picture has an end: bytes (also those a small answer unpacks to),
seconds in all, redirects; each redirect is looked at like the address first given. What comes is recognised by its
content as soon as a few bytes are there, so that a film or a web page is not brought here to be refused.
"""

import re
import ssl
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpcore
import httpx

from indexer.errors import AddressRefused, BrokenImage, ImageTooLarge, NotFetched
from indexer.fetching.addresses import Boundary
from indexer.fetching.dialing import Deadline, Dialer, Resolve, literal, system_resolve
from indexer.images import sniff

SCHEMES = ("http", "https")
MAX_URL = 4_096  # characters
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_HOST = re.compile(r"[0-9A-Za-z._-]+|[0-9A-Fa-f:.]+")  # a name, or an address of either kind
_HEAD = 4_096  # bytes that tell what a file is
_LONGEST_WAIT_S = 600.0
_HEADERS: Mapping[str | bytes, str | bytes] = {
    "Accept": "image/*",
    "Accept-Encoding": "identity",
    "User-Agent": "Sightline",
}


@dataclass(frozen=True)
class FetchLimits:
    """What one fetch may cost: bytes of the file, seconds in all, redirects followed."""

    max_bytes: int = 100 * 2**20
    timeout_s: float = 30.0
    max_redirects: int = 5


@dataclass(frozen=True)
class WebFetch:
    """Fetches pictures from public web servers. Thread-safe; holds no connections."""

    limits: FetchLimits = FetchLimits()
    boundary: Boundary = field(default_factory=Boundary)
    resolve: Resolve = system_resolve
    _tls: ssl.SSLContext = field(default_factory=httpx.create_ssl_context, repr=False)

    def __call__(self, url: str) -> bytes:
        """The picture at `url`.

        Raises:
            AddressRefused: it, or where it redirects to, is not to be reached from here.
            NotFetched: no picture came; `again` says whether a later try may have more luck.
            ImageTooLarge, UnsupportedFormat, BrokenImage: what came cannot be used.
        """
        deadline = Deadline(self.limits.timeout_s)
        at = parsed(url)
        with httpcore.ConnectionPool(
            network_backend=Dialer(self.boundary, self.resolve, deadline), ssl_context=self._tls, retries=0
        ) as pool:
            for _ in range(self.limits.max_redirects + 1):
                answer = self._ask(pool, at)
                if isinstance(answer, bytes):
                    return answer
                at = answer
        raise NotFetched(
            f"It redirects more than {self.limits.max_redirects} times. Give the address it leads to."
        )

    def check(self, url: str) -> None:
        """Raises AddressRefused for what can be told to lead inside, or nowhere, without asking anybody."""
        host = parsed(url).host
        if (address := literal(host)) is not None:
            self.boundary.check(address, host)

    def _ask(self, pool: httpcore.ConnectionPool, at: httpx.URL) -> bytes | httpx.URL:
        """The picture at this address, or the address it redirects to."""
        target = httpcore.URL(scheme=at.raw_scheme, host=at.raw_host, port=at.port, target=at.raw_path)
        headers: dict[str | bytes, str | bytes] = {"Host": at.netloc, **_HEADERS}
        try:
            with pool.stream("GET", target, headers=headers) as response:
                answered = httpx.Headers(response.headers)
                if response.status in _REDIRECTS and "location" in answered:
                    return parsed(answered["location"], at)
                _check_status(response.status, answered, at.host)
                return self._read(response.iter_stream(), answered)
        except httpcore.TimeoutException as error:
            raise NotFetched(
                f"{at.host} did not send it within {self.limits.timeout_s:g} s (SIGHTLINE_FETCH__TIMEOUT_S).",
                again=True,
            ) from error
        except httpcore.ConnectError as error:
            if error.args and isinstance(error.args[0], ssl.SSLCertVerificationError):
                reason = error.args[0].verify_message
                raise NotFetched(f"{at.host} shows no valid certificate: {reason}.") from error
            raise NotFetched(f"{at.host} does not answer ({error}).", again=True) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise NotFetched(f"{at.host} broke off or spoke no HTTP ({error}).", again=True) from error

    def _read(self, chunks: Iterable[bytes], headers: httpx.Headers) -> bytes:
        """The body, unpacked. Raises as soon as it is too large or shows what else it is."""
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.limits.max_bytes:
            raise self._too_large(f"{int(declared):,} bytes")
        data, recognised = bytearray(), False
        for piece in _unpacked(chunks, headers.get("content-encoding", ""), self.limits.max_bytes + 1):
            data += piece
            if len(data) > self.limits.max_bytes:
                raise self._too_large("more")
            if not recognised and len(data) >= _HEAD:
                recognised = bool(sniff(bytes(data[:_HEAD])))
        sniff(bytes(data[:_HEAD]))
        return bytes(data)

    def _too_large(self, size: str) -> ImageTooLarge:
        return ImageTooLarge(
            f"It has {size}; the limit is {self.limits.max_bytes:,} bytes (SIGHTLINE_IMAGES__MAX_BYTES)."
        )


def parsed(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """A web address, taken apart once and for all: what is checked is what is connected to.

    Raises:
        AddressRefused: no address of a picture on the web, or one that carries a password.
    """
    if len(text) > MAX_URL:
        raise AddressRefused(f"The address has {len(text):,} characters; at most {MAX_URL:,} are followed.")
    try:
        at = httpx.URL(text) if base is None else base.join(text)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise AddressRefused(f"{text[:100]!r} is no web address: {error}.") from error
    if at.scheme not in SCHEMES:
        raise AddressRefused(f"{at.scheme or 'An address without scheme'}: only http and https are fetched.")
    if not _HOST.fullmatch(at.raw_host.decode("ascii")) or not 0 < (at.port or 80) < 2**16:
        raise AddressRefused(f"{text[:100]!r} names no host, or one that cannot be.")
    if at.userinfo:
        raise AddressRefused("The address carries a name or password, which would be kept: use a signed one.")
    return at


def _check_status(status: int, headers: httpx.Headers, host: str) -> None:
    if status == HTTPStatus.OK:
        return
    words = HTTPStatus(status).phrase if status in list(HTTPStatus) else "no status known"
    raise NotFetched(
        f"{host} answers {status} {words}.",
        again=status in _PASSING,
        after_s=_retry_after(headers.get("retry-after", "")),
    )


def _retry_after(text: str) -> float | None:
    """Seconds a server asks to be left alone, at most ten minutes."""
    if text.strip().isdigit():
        return min(float(text), _LONGEST_WAIT_S)
    try:
        wait = parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError):
        return None
    return min(max(wait, 0.0), _LONGEST_WAIT_S)


def _unpacked(chunks: Iterable[bytes], encoding: str, most: int) -> Iterator[bytes]:
    """The body without its Content-Encoding, in pieces; never more than about `most` bytes of it.

    Nobody was asked to pack, but some do; a packed body may hold a thousand times its size.
    """
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        yield from chunks
        return
    if kind not in ("gzip", "x-gzip", "deflate"):
        raise NotFetched(f"It is packed in a way not unpacked here (Content-Encoding: {encoding[:50]}).")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    left = most
    try:
        for chunk in chunks:
            rest = chunk
            while rest and left > 0:
                piece = unpack.decompress(rest, min(left, 2**20))
                rest, left = unpack.unconsumed_tail, left - len(piece)
                yield piece
        if not unpack.eof and left > 0:
            raise BrokenImage("It breaks off before its end. Fetch it again.")
    except zlib.error as error:
        raise BrokenImage(f"What came is not packed as it says (Content-Encoding: {kind}).") from error
