"""Which requests are let in and which headers go out, as plain ASGI middleware.

Sightline has no accounts: whoever reaches the port may use it, so it listens on loopback. What is kept
out is other sites in the same person's browser: requests under a foreign name (DNS rebinding) and
writes sent from foreign pages (CSRF).
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_api.problems import Problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY_BYTES = 2**20
# These read pictures as they come, each with its own limit; every other body is read here, and bounded.
STREAMED = frozenset({"/v1/images", "/v1/examples"})
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": PAGE_POLICY,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Gatekeeper:
    """Refuses foreign Host headers and cross-site writes, and bounds bodies that are not streamed.

    Args:
        app: the application behind it.
        names: host names it is reached by, besides loopback names and bare addresses.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        self.app = app
        self.names = {"localhost", socket.gethostname().lower(), *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request here, hand on the others."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = self._refusal(scope["method"], headers)
        if problem is None and _buffered(scope["method"], scope["path"]):
            body = await _read(receive, MAX_BODY_BYTES)
            if body is None:
                problem = _too_large()
            else:
                receive = _replay(body, receive)
        await (problem.response() if problem else self.app)(scope, receive, send)

    def _refusal(self, method: str, headers: Headers) -> Problem | None:
        host = headers.get("host", "")
        if not self._known(host):
            return Problem(
                400,
                "unknown_host",
                "Unknown host name",
                f"This server is not called {host!r}. Use localhost, its address, or set SIGHTLINE_HOST.",
            )
        if method not in SAFE_METHODS and _cross_site(headers, host):
            return Problem(
                403,
                "cross_site",
                "Request from another site",
                "Pages of other sites may not change anything here. Send it from Sightline's own page.",
            )
        return None

    def _known(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower() in self.names
        return True  # a bare address cannot be rebound


def _cross_site(headers: Headers, host: str) -> bool:
    """Browsers name the sender (Fetch Metadata, or Origin in older ones); programs name none."""
    if site := headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != host


def _buffered(method: str, path: str) -> bool:
    return method not in SAFE_METHODS and path not in STREAMED


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None as soon as it is over the limit."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large() -> Problem:
    return Problem(
        413,
        "body_too_large",
        "The request is too large",
        f"A request body may have {MAX_BODY_BYTES:,} bytes; pictures go to `POST /v1/images` and `POST /v1/examples`.",
    )


class SecurityHeaders:
    """Adds the headers every answer carries, where the endpoint has not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and add to what comes back."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in DEFAULT_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
