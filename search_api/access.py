"""Who may do what: every endpoint says which scope it needs, and here it is decided.

As long as the catalogue has no valid key, whoever is on this machine may do everything and nobody else anything. With
the first key that ends: a request brings a key (`Authorization: Bearer KEY` or `X-API-Key: KEY`), or the cookie of a
browser that signed in with one.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from fastapi import Depends, Request, Security
from fastapi.security import (
    APIKeyCookie,
    APIKeyHeader,
    HTTPAuthorizationCredentials,
    HTTPBearer,
    SecurityScopes,
)
from starlette.concurrency import run_in_threadpool

from indexer.catalog.api_keys import SCOPES, KeyView, Scope
from indexer.errors import NotAllowed, NotSignedIn
from indexer.settings import Access
from search_api.key_ring import KeyRing
from search_api.rate_limits import RateLimits
from search_api.services import Services
from search_api.sessions import CSRF_HEADER, SESSION_COOKIE, BrowserSession, SessionCookies, own_secret

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WRONG_KEYS_A_MINUTE = 30  # from one address
_HELP = "`sightline keys create NAME --scope search` makes one."
BEARER = HTTPBearer(scheme_name="bearer", description="an API key", auto_error=False)
HEADER = APIKeyHeader(name="X-API-Key", scheme_name="header", description="an API key", auto_error=False)
COOKIE = APIKeyCookie(
    name=SESSION_COOKIE,
    scheme_name="session",
    description=f"a browser that signed in at /login; writes also need `{CSRF_HEADER}`",
    auto_error=False,
)


@dataclass(frozen=True)
class Caller:
    """Who asks, and how they came in. `key` is None where no key is needed: then everything is open."""

    key: KeyView | None
    by: Literal["open", "key", "session"]

    @property
    def owner(self) -> str:
        """What tells one caller's things from another's: the key's id, or nothing."""
        return "" if self.key is None else str(self.key.id)

    @property
    def scopes(self) -> frozenset[str]:
        """What the caller may do."""
        if self.key is None or "admin" in self.key.scopes:
            return frozenset(SCOPES)
        return self.key.scopes


@dataclass(frozen=True)
class Credentials:
    """What a request brings to be let in."""

    method: str
    address: str
    key: str | None = None
    cookie: str | None = None
    csrf: str | None = None


class Doors:
    """Lets callers in. `per_minute` is how many requests one key may make; 0: any number."""

    def __init__(self, keys: KeyRing, cookies: SessionCookies, limits: RateLimits, per_minute: int) -> None:
        self.keys, self.cookies, self.limits = keys, cookies, limits
        self._per_minute = per_minute

    def admit(self, brought: Credentials, scope: Scope) -> Caller:
        """The caller, who may do what needs `scope`.

        Raises:
            NotSignedIn: a key is needed and none came, or one that opens nothing.
            NotAllowed: the key does not open this, or the session's token is missing.
            TooManyRequests: too many requests of one key, or too many wrong keys from one address.
            ServiceUnavailable: Postgres, where the keys are, does not answer.
        """
        caller = self.recognise(brought)
        if caller.key is None:
            return caller
        if not caller.key.opens(scope):
            raise NotAllowed(
                f"The key {caller.key.name!r} does not open this: it needs the scope {scope!r} ({SCOPES[scope]})."
            )
        self.limits.spend("requests", f"key {caller.key.id}", self._per_minute)
        return caller

    def anybody(self, brought: Credentials) -> Caller | None:
        """The caller, where no key is needed and none came, and that is known without asking anything."""
        plain = brought.key is None and not brought.cookie and not _is_elsewhere(brought.address)
        return Caller(None, "open") if plain and self.keys.known_open() else None

    def recognise(self, brought: Credentials) -> Caller:
        """Who asks, whatever they may do. Raises as `admit`."""
        if brought.key is not None:
            return Caller(self.key_of(brought.key, brought.address), "key")
        session = self.cookies.read(brought.cookie)
        key = None if session is None else self.keys.by_id(session.key_id)
        if session is not None and key is not None:
            _check_token(session, brought)
            return Caller(key, "session")
        if self.keys.needed():
            raise NotSignedIn(
                "Send an API key as `Authorization: Bearer KEY`, or sign in at /login with a browser. "
                f"{_HELP}"
            )
        if _is_elsewhere(brought.address):
            raise NotSignedIn(f"From other machines nobody comes in without a key. {_HELP}")
        return Caller(None, "open")

    def key_of(self, text: str, address: str) -> KeyView:
        """The valid key of this text. Raises NotSignedIn, or TooManyRequests after many wrong ones."""
        self.limits.check("wrong keys", address, WRONG_KEYS_A_MINUTE)
        key = self.keys.by_text(text)
        if key is None:
            self.limits.spend("wrong keys", address, WRONG_KEYS_A_MINUTE)
            raise NotSignedIn(
                f"This key opens nothing here: it is mistyped, revoked, or of another library. {_HELP}"
            )
        return key


def open_doors(settings: Access, home: Path, services: Services) -> Doors:
    """The doors of the library whose connections `services` holds; nothing is asked of them yet."""

    def secret() -> str:
        return settings.session_secret.get_secret_value() if settings.session_secret else own_secret(home)

    return Doors(
        KeyRing(lambda: services.sessions),
        SessionCookies(secret, settings.session_s),
        RateLimits(lambda: services.servers.get().redis_url),
        settings.requests_per_minute,
    )


def requires(scope: Scope) -> Any:
    """What an endpoint lists in `dependencies` to say which scope it needs; shown in the API's description."""
    return Security(_let_in, scopes=[scope])


def brought_by(request: Request) -> Credentials:
    """What a request brings."""
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    header = request.headers.get("x-api-key")
    return Credentials(
        method=request.method,
        address=request.client.host if request.client else "",
        key=bearer.strip() if kind.lower() == "bearer" else header,
        cookie=request.cookies.get(SESSION_COOKIE),
        csrf=request.headers.get(CSRF_HEADER),
    )


async def _let_in(
    request: Request,
    needs: SecurityScopes,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
    _header: Annotated[str | None, Depends(HEADER)],
    _cookie: Annotated[str | None, Depends(COOKIE)],
) -> Caller:
    doors: Doors = request.app.state.doors
    [scope] = cast(list[Scope], needs.scopes)
    brought = brought_by(request)
    caller = doors.anybody(brought)
    admitted: Caller = caller if caller is not None else await run_in_threadpool(doors.admit, brought, scope)
    request.state.caller = admitted
    return admitted


def get_caller(request: Request) -> Caller:
    """Who asks, for endpoints that `requires` has let them into."""
    caller: Caller = request.state.caller
    return caller


CallerDep = Annotated[Caller, Depends(get_caller)]


def _check_token(session: BrowserSession, brought: Credentials) -> None:
    if brought.method not in SAFE_METHODS and not session.allows_write(brought.csrf):
        raise NotAllowed(
            f"A browser's session writes only with its token: send the cookie's value as `{CSRF_HEADER}`. "
            "Open the page again if it is old."
        )


def _is_elsewhere(address: str) -> bool:
    """Whether a request came from another machine; what has no address came by no network."""
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
