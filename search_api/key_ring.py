"""Keys as the catalogue has them, remembered for two seconds: a revoked key opens nothing two seconds later.

While Postgres is away what was known last holds: nobody can revoke a key meanwhile either.
"""

import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import api_keys
from indexer.catalog.api_keys import KeyView
from indexer.errors import ServiceUnavailable

REMEMBERED_S = 2.0
MOST = 1_000  # look-ups remembered; strangers choose what is looked up

Asked = str | int | None
Found = KeyView | bool | None


class KeyRing:
    """Looks keys up, not at every request.

    Args:
        sessions: gives a session factory on the catalogue; raises ServiceUnavailable while there is none.
    """

    def __init__(self, sessions: Callable[[], "sessionmaker[Session]"]) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()
        self._known: dict[Asked, tuple[float, Found]] = {}

    def needed(self) -> bool:
        """Whether there is any valid key, so that nobody may come in without one."""
        return bool(self._remembered(None, api_keys.any_valid))

    def known_open(self) -> bool:
        """Whether it is known without asking that there is no key."""
        known = self._known.get(None)
        return known is not None and time.monotonic() < known[0] and known[1] is False

    def by_text(self, key: str) -> KeyView | None:
        """The valid key of this text."""
        if not api_keys.SHAPE.fullmatch(key):
            return None
        return self._used(key, lambda session: api_keys.find(session, key))

    def by_id(self, key_id: int) -> KeyView | None:
        """The valid key of this id, of which a signed session speaks."""
        return self._used(key_id, lambda session: api_keys.find_by_id(session, key_id))

    def _used(self, asked: Asked, look_up: Callable[[Session], KeyView | None]) -> KeyView | None:
        def found(session: Session) -> KeyView | None:
            key = look_up(session)
            if key is not None:
                api_keys.note_use(session, key.id)
            return key

        key = self._remembered(asked, found)
        return key if isinstance(key, KeyView) else None

    def _remembered(self, asked: Asked, look_up: Callable[[Session], Found]) -> Found:
        known = self._known.get(asked)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        try:
            with self._sessions().begin() as session:
                found = look_up(session)
        except (OperationalError, ServiceUnavailable):
            if known is None:
                raise
            return known[1]
        with self._lock:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[asked] = (time.monotonic() + REMEMBERED_S, found)
        return found
