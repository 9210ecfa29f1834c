"""Connections to the very addresses that were looked at, all within one span of time.

A name is looked up once for each connection; every answer is checked, and one of those very answers is connected to.
A name that answers differently the next time is thus asked and checked anew, never trusted twice.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from indexer.errors import AddressRefused, NotFetched
from indexer.fetching.addresses import Boundary

# A host name -> its addresses; raises OSError.
Resolve = Callable[[str], list[str]]
_LAST_PORT_OF_OTHERS = 1023
_WEB_PORTS = (80, 443)


def system_resolve(host: str) -> list[str]:
    """What the system's resolver says of a name, each address once. Raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def literal(host: str) -> str | None:
    """The address a host is, None for a name; odd ways to write one (127.1, 0x7f000001) are not guessed at.

    Raises:
        AddressRefused: it is neither.
    """
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        last = host.rstrip(".").rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        raise AddressRefused(f"{host} is not fetched from: write a host's name, or its address in full.")
    return None


class Deadline:
    """An instant by which all has to be done."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left. Raises httpcore.ReadTimeout when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left


class Dialer(httpcore.NetworkBackend):
    """Connects to public machines only, until a deadline.

    Args:
        boundary: which addresses may be reached.
        resolve: how names are looked up.
        deadline: when every connection made here ends.
    """

    def __init__(self, boundary: Boundary, resolve: Resolve, deadline: Deadline) -> None:
        self._boundary, self._resolve, self._deadline = boundary, resolve, deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline counts
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address of `host` that answers.

        Raises:
            AddressRefused: one of its addresses, or the port, may not be reached.
            NotFetched: it has no address.
            httpcore.ConnectError, httpcore.ConnectTimeout: none answers.
        """
        if port <= _LAST_PORT_OF_OTHERS and port not in _WEB_PORTS:
            raise AddressRefused(f"Port {port} of {host} is not fetched from: it serves no pictures.")
        addresses = self._look_up(host)
        for address in addresses:
            self._boundary.check(address, host)
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # the next one may answer
        return self._connect(addresses[-1], port, local_address, socket_options)

    def _connect(
        self, address: str, port: int, local_address: str | None, options: Iterable[Any] | None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left()
        stream = self._plain.connect_tcp(address, port, left, local_address, options)
        return _TimedStream(stream, self._deadline)

    def _look_up(self, host: str) -> list[str]:
        """The addresses of a name, or the address it is."""
        if (address := literal(host)) is not None:
            return [address]
        try:
            found = self._resolve(host)
        except UnicodeError:
            found = []
        except OSError as error:
            passing = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
            raise NotFetched(
                f"The name {host} cannot be looked up ({error.strerror or error}).", again=passing
            ) from error
        if not found:
            raise NotFetched(f"The name {host} has no address. Check its spelling.")
        return found


class _TimedStream(httpcore.NetworkStream):
    """A connection every use of which has what is left of the time."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Bytes as they come. Raises httpcore.ReadTimeout at the deadline."""
        return self._inner.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send. Raises httpcore.WriteTimeout at the deadline."""
        self._inner.write(buffer, self._deadline.left())

    def close(self) -> None:
        """End it."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """The same under TLS; the certificate must be of the name asked for, whatever address was connected to."""
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _TimedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What the connection says of itself."""
        return self._inner.get_extra_info(info)
