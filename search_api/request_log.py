"""Each request has an id, is counted and leaves one line in the log, as plain ASGI middleware."""

import logging
import re
import uuid
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indexer import logs, metrics
from search_api.access import Caller

logger = logging.getLogger(__name__)
HEADER = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Asked every few seconds by machines: counted, not logged.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLog:
    """Binds an id to what happens inside, sends it back as `X-Request-ID`, counts, and logs the outcome.

    A sender's own id is kept if it is plain (64 letters, digits, `.`, `_`, `-`). The line has no query: what people
    look for is theirs.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and note how it ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        started, status = perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with logs.binding(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            finally:
                _note(scope, status, perf_counter() - started)


def _request_id(headers: Headers) -> str:
    given = headers.get(HEADER, "")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex


def _note(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"  # strangers choose it: few series
    route = _route(scope)
    metrics.http_requests.labels(method=method, route=route, status=str(status)).inc()
    metrics.http_seconds.labels(method=method, route=route).observe(seconds)
    if scope["path"] not in _PROBES:
        told = {"status": status, "took_ms": round(seconds * 1000, 1), **_caller(scope)}
        logger.info("%s %s", scope["method"], scope["path"], extra=told)


def _caller(scope: Scope) -> dict[str, str]:
    """Whose key let the request in, where one did."""
    caller: Caller | None = scope.get("state", {}).get("caller")
    return {} if caller is None or caller.key is None else {"caller": caller.key.name}


def _route(scope: Scope) -> str:
    """The address as declared, `/v1/images/{image_id}`; what no endpoint answers is one route."""
    route = scope.get("route")
    path: str | None = getattr(route, "path", None)
    return path or ("/static" if scope["path"].startswith("/static/") else "none")
