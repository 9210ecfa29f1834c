"""How much a request may bring, and how slowly, as plain ASGI middleware.

Small bodies are read here, whole; pictures are read by their endpoints as they come, and counted on the way. Whoever is
too much or too slow is refused and disconnected: nobody can keep the server reading ten gigabytes, or waiting for one
byte a minute.
"""

import asyncio
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_api.problems import Problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY_BYTES = 2**20
# These read files as they come, each with its own limit; every other body is read here.
STREAMED = frozenset({"/v1/images", "/v1/examples", "/v1/imports"})
GRACE_S = 30.0  # how long a body may take whatever its size, and how long nothing may come
SLOWEST_BYTES_PER_S = 4096
# What is refused is read on for a little, so that the sender hears why rather than finding the line cut.
DRAINED_BYTES, DRAINED_S = 4 * 2**20, 2.0


class Bodies:
    """Bounds bodies in size and time.

    Args:
        app: the application behind it.
        max_bytes: the largest body that is streamed, all its files together.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request with its body bounded, or answer it here."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        streamed = scope["path"] in STREAMED
        limit = self.max_bytes if streamed else MAX_BODY_BYTES
        body = _Body(receive, limit, Headers(scope=scope))
        try:
            body.check_announced()
            taken = body.receive if streamed else _again(await body.whole(), receive)
        except HTTPException as refusal:
            await refused(refusal).response()(scope, receive, body.closing(send))
            return
        await self.app(scope, taken, body.closing(send))


class _Body:
    """One request's body on its way in."""

    def __init__(self, receive: Receive, limit: int, headers: Headers) -> None:
        self._receive, self._limit = receive, limit
        self._announced = headers.get("content-length", "")
        # Whoever waits to be told to go on has sent nothing yet that could be drained.
        self._asks_first = "expect" in headers
        self._started = time.monotonic()
        self._bytes, self._complete = 0, False

    def check_announced(self) -> None:
        """Raises HTTPException 413: it says itself that it is too large."""
        if self._announced.isdecimal() and int(self._announced) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next piece. Raises HTTPException: 413 too much, 408 too slow."""
        if self._complete:
            return await self._receive()
        slowest = self._started + GRACE_S + self._bytes / SLOWEST_BYTES_PER_S
        try:
            message = await asyncio.wait_for(
                self._receive(), max(0.0, min(GRACE_S, slowest - time.monotonic()))
            )
        except TimeoutError as error:
            raise HTTPException(408, f"The body comes too slowly; {GRACE_S:.0f} s were waited.") from error
        self._bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._bytes > self._limit:
            raise self._too_large()
        return message

    async def whole(self) -> bytes:
        """All of it. Raises as `receive`."""
        body = bytearray()
        while not self._complete:
            body += (await self.receive()).get("body", b"")
        return bytes(body)

    def closing(self, send: Send) -> Send:
        """As `send`; ends the connection if the answer comes before the body has."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and not self._complete:
                await self._drain()
                if not self._complete:
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        return answer

    async def _drain(self) -> None:
        until, left = time.monotonic() + DRAINED_S, DRAINED_BYTES
        while not (self._complete or self._asks_first) and left > 0:
            try:
                message = await asyncio.wait_for(self._receive(), max(0.0, until - time.monotonic()))
            except TimeoutError:
                return
            left -= len(message.get("body", b""))
            self._complete = not message.get("more_body", False)

    def _too_large(self) -> HTTPException:
        if self._limit == MAX_BODY_BYTES:
            where = "pictures go to `POST /v1/images` and `POST /v1/examples`"
        else:
            where = "send the files in several requests"
        return HTTPException(413, f"A request body may have {self._limit:,} bytes here; {where}.")


def refused(refusal: HTTPException) -> Problem:
    """How a body that is too much or too slow is refused."""
    if refusal.status_code == 408:
        return Problem(408, "too_slow", "The request came too slowly", refusal.detail)
    return Problem(413, "body_too_large", "The request is too large", refusal.detail)


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, once."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
