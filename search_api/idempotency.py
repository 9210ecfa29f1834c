"""Requests carried out once, however often they are sent: those that carry an `Idempotency-Key`.

Who does not know whether a request arrived sends it again with the same key and gets the answer given before. Only what
was done is remembered; a refusal changes nothing and may be different the next time.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Header, Response
from sqlalchemy.orm import Session

from indexer.catalog import answered_requests
from indexer.catalog.answered_requests import Answer
from search_api.access import CallerDep
from search_api.dependencies import ServicesDep
from search_api.services import Services

REPLAYED = "Idempotency-Replayed"
Keep = Callable[[Session, Response], None]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description=(
            "1 to 255 visible characters, new for each request: sent again with the same key within a day, it is not"
            " carried out again but answered as before, with `Idempotency-Replayed: true`"
        ),
    ),
]


@dataclass
class Once:
    """One request's key, and whether it was answered before."""

    services: Services
    owner: str
    key: str | None
    _kept: bool = field(default=False)

    def carry_out(self, fingerprint: bytes, act: Callable[[Keep], Response]) -> Response:
        """The answer given before, or what `act` answers.

        Args:
            fingerprint: 32 bytes that are the same for the same request.
            act: does what was asked; hands its answer to the function it is given, in the transaction that does it.

        Raises:
            KeyReused, StillBeingAnswered: see `answered_requests.begin`.
        """
        if self.key is None:
            return act(lambda *_: None)
        with self.services.sessions.begin() as session:
            before = answered_requests.begin(session, self.owner, self.key, fingerprint)
        if before is not None:
            return Response(before.body, before.status, {**before.headers, REPLAYED: "true"})
        try:
            return act(self._keep)
        finally:
            if not self._kept:
                with self.services.sessions.begin() as session:
                    answered_requests.forget(session, self.owner, self.key)

    def _keep(self, session: Session, response: Response) -> None:
        assert self.key is not None
        headers = {
            name: response.headers[name] for name in ("content-type", "location") if name in response.headers
        }
        answer = Answer(response.status_code, headers, bytes(response.body))
        answered_requests.keep(session, self.owner, self.key, answer)
        self._kept = True


def get_once(services: ServicesDep, caller: CallerDep, key: IdempotencyKey = None) -> Once:
    """The request's key under its caller's name."""
    return Once(services, caller.owner, key)


OnceDep = Annotated[Once, Depends(get_once)]


def fingerprint_of(*parts: bytes | str | None) -> bytes:
    """32 bytes that tell one request from another by its parts; None is not the empty text."""
    digest = hashlib.sha256()
    for part in parts:
        data = (
            b"" if part is None else part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        )
        digest.update(b"%d %d " % (part is None, len(data)) + data)
    return digest.digest()
