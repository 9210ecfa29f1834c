"""Which requests are let in and which headers go out, as plain ASGI middleware.

Keys say who comes in (`access.py`). What is kept out here, also where no key is needed, is other sites in the same
person's browser: requests under a foreign name (DNS rebinding) and writes sent from foreign pages (CSRF).
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_api.bodies import SAFE_METHODS
from search_api.problems import Problem

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    # No script of ours makes elements or code out of text: whatever tries is stopped.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": PAGE_POLICY,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# What is told of the library is not for a shared machine's disk; pictures say themselves how they may be kept.
PRIVATE = {"Cache-Control": "no-store"}
HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}


class Gatekeeper:
    """Refuses foreign Host headers and cross-site writes.

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
        await (problem.response() if problem else self.app)(scope, receive, send)

    def _refusal(self, method: str, headers: Headers) -> Problem | None:
        host = headers.get("host", "")
        if not self._known(host):
            return Problem(
                400,
                "unknown_host",
                "Unknown host name",
                f"This server is not called {host!r}. Use localhost or its address, or list its names in "
                "SIGHTLINE_ACCESS__NAMES.",
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
        name = _split(host).hostname or ""
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
    return origin is not None and _split(origin.partition("//")[2]).netloc != host


def _split(host: str) -> SplitResult:
    """A host in its parts; nobody's, if it cannot be read."""
    try:
        return urlsplit(f"//{host}")
    except ValueError:
        return urlsplit("")


class SecurityHeaders:
    """Adds the headers every answer carries, where the endpoint has not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and add to what comes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        wanted = DEFAULT_HEADERS | (PRIVATE if scope["path"].startswith("/v1/") else {})
        wanted |= HTTPS_ONLY if scope["scheme"] == "https" else {}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)
