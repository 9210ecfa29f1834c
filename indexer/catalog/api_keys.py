"""API keys: who may come in, and what each key opens.

A key is 256 random bits, so a plain SHA-256 of it is kept: nobody can try them all, as they could with passwords, and
a request is recognised by one look-up in an index. The key itself is shown once, when it is made, and never again.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from sqlalchemy import Select, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog import own_names
from indexer.errors import NotFound, QueryError
from indexer.tables import ApiKey

WHAT = "key"
Scope = Literal["search", "images.read", "images.write", "tags.write", "admin"]
SCOPES: Final[dict[Scope, str]] = {
    "search": "search, complete, count, export; see which tags, collections and saved searches there are; metrics",
    "images.read": "see images, thumbnails, originals and jobs",
    "images.write": "add images and delete them",
    "tags.write": "say what images show: tags, captions, collections, saved searches",
    "admin": "everything",
}
MARK = "sightline_"  # keys begin with it, so that scanners find a leaked one
SHAPE = re.compile(rf"{MARK}[A-Za-z0-9_-]{{43}}")
_SHOWN = len(MARK) + 6


@dataclass(frozen=True)
class KeyView:
    """A key as it may be shown: its name, its first letters and what it opens, never the key."""

    id: int
    name: str
    prefix: str
    scopes: frozenset[str]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    def opens(self, scope: Scope) -> bool:
        """Whether it may do what needs `scope`; `admin` may do everything."""
        return scope in self.scopes or "admin" in self.scopes


def create(session: Session, name: str, scopes: Iterable[str]) -> tuple[KeyView, str]:
    """A new key: how it is shown from now on, and the key itself, which nobody can find out again.

    Raises:
        QueryError: no scope, an unknown one, or an unusable name.
        NameTaken: a key has that name, perhaps a revoked one: what was logged under it stays clear.
    """
    chosen = list(dict.fromkeys(scopes))
    unknown = [scope for scope in chosen if scope not in SCOPES]
    if unknown or not chosen:
        problem = f"There is no scope {unknown[0][:50]!r}" if unknown else "A key needs a scope"
        raise QueryError(f"{problem}; there are {', '.join(get_args(Scope))}.")
    key = MARK + secrets.token_urlsafe(32)
    row = session.scalar(
        insert(ApiKey)
        .values(name=own_names.kept(name, WHAT), prefix=key[:_SHOWN], key_hash=_hash(key), scopes=chosen)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(ApiKey)
    )
    if row is None:
        raise own_names.taken(name, WHAT)
    return _view(row), key


def all_of_them(session: Session) -> list[KeyView]:
    """Every key, revoked ones too, by name."""
    return [_view(row) for row in session.scalars(select(ApiKey).order_by(ApiKey.name))]


def revoke(session: Session, name: str) -> KeyView:
    """Make a key open nothing from now on; doing it twice changes nothing more. Raises NotFound."""
    row = session.scalar(select(ApiKey).where(ApiKey.name == own_names.kept(name, WHAT)).with_for_update())
    if row is None:
        raise NotFound(f"No key is called {name!r}; `sightline keys` lists them.")
    if row.revoked_at is None:
        row.revoked_at = session.scalar(select(func.now()))
    return _view(row)


def any_valid(session: Session) -> bool:
    """Whether there is a key that opens something."""
    return session.scalar(_valid().limit(1)) is not None


def find(session: Session, key: str) -> KeyView | None:
    """The valid key of this text; None if it is none or was revoked."""
    if not SHAPE.fullmatch(key):
        return None
    return _found(session, _valid().where(ApiKey.key_hash == _hash(key)))


def find_by_id(session: Session, key_id: int) -> KeyView | None:
    """The valid key of this id; None if it is none or was revoked."""
    return _found(session, _valid().where(ApiKey.id == key_id))


def note_use(session: Session, key_id: int) -> None:
    """Remember that a key was used, at most once a minute: a busy one must not write at every request."""
    long_ago = or_(
        ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - text("interval '1 minute'")
    )
    session.execute(update(ApiKey).where(ApiKey.id == key_id, long_ago).values(last_used_at=func.now()))


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _valid() -> Select[ApiKey]:
    return select(ApiKey).where(ApiKey.revoked_at.is_(None))


def _found(session: Session, statement: Select[ApiKey]) -> KeyView | None:
    row = session.scalar(statement)
    return None if row is None else _view(row)


def _view(row: ApiKey) -> KeyView:
    scopes = frozenset(row.scopes)
    return KeyView(row.id, row.name, row.prefix, scopes, row.created_at, row.last_used_at, row.revoked_at)
