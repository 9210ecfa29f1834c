"""One Milvus, reached so that a restart of it goes unnoticed and every failure is a `ServiceUnavailable`."""

import logging
import os
import re
import threading
import time
from functools import cached_property
from typing import Any

from indexer.errors import ServiceUnavailable

_RELEASED = 101  # what a restart leaves a collection in, until somebody loads it
_SERVER_IN_A_WHEEL = re.compile(r"v2\.[0-3]\.\d+-lite")
_NO_ANSWER = (2, 4, 14)  # pymilvus's "cannot connect"; gRPC's "deadline exceeded" and "unavailable"
# A shared subchannel would go on refusing, during its back-off, when the server has long been up again.
_CHANNEL_OPTIONS = {"grpc.use_local_subchannel_pool": 1, "grpc.initial_reconnect_backoff_ms": 100}
# Milvus Lite takes pings while nothing is asked for an attack and hangs up; a socket needs none to stay open.
_SOCKET_OPTIONS = {"grpc.keepalive_permit_without_calls": 0}


class Refused(ServiceUnavailable):
    """Milvus is there and said no: something is missing, exists already, or is not allowed."""


class MilvusConnection:
    """A `MilvusClient`, made at first use and again after a fork or a failure. Safe to share among threads.

    `timeout_s` bounds each request; pymilvus by itself would retry for minutes.
    """

    def __init__(self, url: str, token: str | None, timeout_s: float) -> None:
        self._url, self._token = url, token
        self._timeout_s = timeout_s
        self._connecting = threading.Lock()
        self._client: Any = None
        self._pid = 0

    @cached_property
    def is_lite(self) -> bool:
        """Told by the version: Lite says `milvus_lite-3.2.2`, older ones `2.5.1-lite`, a server `v2.6.1`.

        The server's type would not tell: Lite claims to be `milvus` there. `v2.3.5-lite` and before are whole
        servers in a wheel: Lite as a library began with 2.4.
        """
        version = str(self.call("get_server_version")).lower()
        return "lite" in version and not _SERVER_IN_A_WHEEL.match(version)

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a client method; a collection to load after a restart is its first argument, if it has one.

        Asks once more after mending what a restart of Milvus broke. Raises `Refused` or `ServiceUnavailable`.
        """
        client: Any = None
        deadline = time.monotonic() + self._timeout_s
        try:
            client = self._connected()
            return self._request(client, method, args, options)
        except _failures() as first:
            try:
                if time.monotonic() > deadline or not self._mend(client, first, args):
                    raise
                return self._request(self._connected(), method, args, options)
            except _failures() as error:
                raise self._unavailable(method, error) from error

    def healthy(self) -> bool:
        """Whether Milvus answers now. Never raises."""
        try:
            self.call("list_collections")
        except ServiceUnavailable:
            return False
        return True

    def close(self) -> None:
        """Disconnect; the next call connects again."""
        self._drop(self._client)

    def _request(self, client: Any, method: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return getattr(client, method)(*args, timeout=self._timeout_s, **options)

    def _connected(self) -> Any:
        with self._connecting:
            if self._client is None or self._pid != os.getpid():
                self._client, self._pid = self._connect(), os.getpid()
            return self._client

    def _connect(self) -> Any:
        from pymilvus import MilvusClient

        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs a traceback of all it raises
        return MilvusClient(
            self._url,
            token=self._token or "",
            timeout=self._timeout_s,
            dedicated=True,
            grpc_options=_CHANNEL_OPTIONS | (_SOCKET_OPTIONS if self._url.startswith("unix:") else {}),
        )

    def _drop(self, client: Any) -> None:
        """Close `client` unless another process made it; forget it unless another thread replaced it."""
        with self._connecting:
            ours = self._pid == os.getpid()
            if self._client is client:
                self._client = None
        if client is not None and ours:
            client.close()

    def _mend(self, client: Any, error: Exception, args: tuple[Any, ...]) -> bool:
        """Whether the request is worth repeating, after undoing what a restart of Milvus did."""
        if getattr(error, "code", None) == _RELEASED and args:
            self._request(client, "load_collection", args[:1], {})
            return True
        if _answered(error):
            return False
        self._drop(client)
        return True

    def _unavailable(self, method: str, error: Exception) -> ServiceUnavailable:
        reason = getattr(error, "message", None) or error
        if _answered(error):
            return Refused(
                "milvus",
                f"Milvus refused {method}: {reason}. If a collection is missing or incomplete, "
                "`sightline check --repair` makes it again from the catalogue.",
            )
        return ServiceUnavailable(
            "milvus",
            f"Milvus does not answer at {self._url} ({method}: {reason}). Check that it runs and what "
            "SIGHTLINE_MILVUS_URL says; without that setting, running the command again starts it.",
        )


def _failures() -> tuple[type[Exception], ...]:
    from grpc import RpcError  # type: ignore[import-untyped]
    from pymilvus.exceptions import MilvusException

    return MilvusException, RpcError, ValueError  # gRPC's answer on a closed channel is a ValueError


def _answered(error: Exception) -> bool:
    """Whether Milvus said no, as opposed to a dead connection or a lapsed timeout."""
    code = getattr(error, "code", None)
    return isinstance(code, int) and code not in _NO_ANSWER and "create connection first" not in str(error)
