"""What has changed in the catalogue since something was read of it."""

import threading
from collections import deque

import numpy as np
from pyroaring import BitMap
from sqlalchemy.orm import Session

from indexer.catalog import changes

# Reading more images than these again costs more than reading everything anew.
MOST_CHANGES = 50_000


class Feed:
    """Numbers the moments at which something had changed: revisions.

    What was read after revision r was announced holds everything committed before r; `changed(r, now)` are the
    images to read again to have it hold everything before `now`. Looks of several threads may overlap: an image is
    then announced twice, which does no harm. No lock is held while Postgres is asked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot: changes.Snapshot | None = None
        self._revision = 0
        self._log: deque[tuple[int, BitMap]] = deque()
        self._floor = 0  # changes up to here are forgotten

    @property
    def revision(self) -> int:
        """The newest announced."""
        return self._revision

    def look(self, session: Session) -> int | None:
        """Announce what was committed by others since the last look; the revision that has everything until now.

        None for a session that has itself written something: what it reads is not for others.
        """
        before = self._snapshot or changes.snapshot(session)
        found = changes.look(session, before)
        if found.uncommitted:
            return None
        with self._lock:
            if self._snapshot in (None, before):
                self._snapshot = found.snapshot
            if found.image_ids.size:
                self._announce(found.image_ids)
            return self._revision

    def changed(self, before: int, now: int) -> BitMap | None:
        """Images changed after revision `before` and up to `now`; None if that is not remembered any more."""
        with self._lock:
            if before < self._floor:
                return None
            recent = [ids for revision, ids in self._log if before < revision <= now]
        return BitMap.union(*recent) if recent else BitMap()

    def _announce(self, image_ids: np.ndarray) -> None:
        self._revision += 1
        self._log.append((self._revision, BitMap(image_ids.tolist())))
        while sum(len(ids) for _, ids in self._log) > MOST_CHANGES:
            self._floor, _ = self._log.popleft()
