"""A browser's session: a signed cookie that names a key, and a token that only the page itself can read.

The cookie is kept from scripts and from other sites (HttpOnly, SameSite=Strict). Against forged requests the page sends
the token of the second cookie back in a header, which no other site can read or set; one signature binds both.
Nothing is kept on the server: a session ends when its time is over, its key is revoked, or the secret changes.
"""

import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from fastapi import Response
from itsdangerous import BadData, URLSafeTimedSerializer

SESSION_COOKIE = "sightline_session"
CSRF_COOKIE = "sightline_csrf"
CSRF_HEADER = "X-CSRF-Token"
_SECRET_FILE = "session.secret"  # noqa: S105 - a file's name


@dataclass(frozen=True)
class BrowserSession:
    """What a session cookie says: whose key signed in, and the token its writes must carry."""

    key_id: int
    csrf: str

    def allows_write(self, token: str | None) -> bool:
        """Whether this is the session's own token."""
        return token is not None and hmac.compare_digest(token.encode(), self.csrf.encode())


class SessionCookies:
    """Writes and reads session cookies.

    Args:
        secret: gives what they are signed with, when first needed; every server of one library needs the same.
        lasts_s: seconds after which a session is over.
    """

    def __init__(self, secret: Callable[[], str], lasts_s: int) -> None:
        self._secret = secret
        self._lasts_s = lasts_s

    @cached_property
    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret(), salt="sightline session")

    def begin(self, response: Response, key_id: int, *, secure: bool) -> BrowserSession:
        """Give the browser a session; `secure` if it came by https: then it is never sent without."""
        session = BrowserSession(key_id, secrets.token_urlsafe(24))
        value = self._signer.dumps([session.key_id, session.csrf])
        for name, content, hidden in (
            (SESSION_COOKIE, str(value), True),
            (CSRF_COOKIE, session.csrf, False),
        ):
            response.set_cookie(
                name,
                content,
                max_age=self._lasts_s,
                path="/",
                secure=secure,
                httponly=hidden,
                samesite="strict",
            )
        return session

    def read(self, cookie: str | None) -> BrowserSession | None:
        """The session of a cookie's value; None if it is none of ours, changed or over."""
        if not cookie:
            return None
        try:
            key_id, csrf = self._signer.loads(unquote(cookie), max_age=self._lasts_s)
        except (BadData, ValueError, TypeError):
            return None
        return BrowserSession(key_id, csrf)


def end(response: Response) -> None:
    """Take the session from the browser, and what it has cached of the library."""
    for name in (SESSION_COOKIE, CSRF_COOKIE):
        response.delete_cookie(name, path="/", samesite="strict")
    response.headers["Clear-Site-Data"] = '"cache"'


def own_secret(home: Path) -> str:
    """The secret of the library under `home`, made at first use and readable by its owner only."""
    path = home / _SECRET_FILE
    if not path.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = path.with_name(f"{_SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(mine, path)  # whole or not at all, and never over another process's
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return path.read_text()
