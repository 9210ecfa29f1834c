"""The embeddings of a library in memory, if they fit, and kept true to Postgres."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import changes, stored_embeddings
from indexer.errors import SightlineError
from indexer.nearest.matrix import ChannelRows, EmbeddingMatrix
from indexer.nearest.target import CHANNELS, Channel

RELOAD_FROM = (
    50_000  # changed images from which reading everything again, aside, beats waiting for the changes
)
_ROOM = 8  # one row in so many is kept free for what is added or changed later
_LEAST_ROOM = 4_096
_GONE = -1

log = logging.getLogger(__name__)


class HeldEmbeddings:
    """The embeddings of one embedder, read from Postgres aside and patched as images change.

    `memory_bytes` bounds them, room for growth included; a library that does not fit is not held at all.
    Safe to share among threads.
    """

    def __init__(self, embedder_id: int, dimension: int, memory_bytes: int) -> None:
        self._embedder_id = embedder_id
        self._dimension = dimension
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._sessions: sessionmaker[Session] | None = None
        self._matrix: EmbeddingMatrix | None = None
        self._rows: dict[Channel, _GrowingRows] = {}
        self._seen: changes.Snapshot = ""
        self._loader: threading.Thread | None = None
        self.state = "not asked for"  # why there is no matrix, or "held"

    def load(self, sessions: sessionmaker[Session]) -> threading.Thread:
        """Start reading everything, in the thread returned; until that is done there is no matrix. Once at a time."""
        with self._lock:
            return self._start(sessions)

    def matrix(self, session: Session) -> EmbeddingMatrix | None:
        """Everything committed until now; `None` while not held, and for a session that has itself written.

        Raises `ConfigurationError` if Postgres holds embeddings of another length.
        """
        if self._matrix is None:
            return None
        with self._lock:
            if self._matrix is None:
                return None
            look = changes.look(session, self._seen)
            if look.uncommitted:
                return None
            if len(look.image_ids):
                self._patch(session, np.unique(look.image_ids))
            self._seen = look.snapshot
            return self._matrix

    # --- loading

    def _start(self, sessions: sessionmaker[Session]) -> threading.Thread:
        if self._loader is None or not self._loader.is_alive():
            self._sessions = sessions
            self._drop("being read")
            self._loader = threading.Thread(target=self._load, args=(sessions,), daemon=True)
            self._loader.start()
        return self._loader

    def _load(self, sessions: sessionmaker[Session]) -> None:
        try:
            with sessions() as session:
                seen = changes.snapshot(session)
                rows = self._read(session)
        except (SightlineError, SQLAlchemyError, MemoryError) as error:
            log.warning("Embeddings are not held in memory: %s", error)
            self.state = f"not read: {error}"
            return
        with self._lock:
            if rows is not None:
                self._rows, self._seen = rows, seen
                self._matrix, self.state = _matrix(rows), "held"

    def _read(self, session: Session) -> "dict[Channel, _GrowingRows] | None":
        counts = {c: stored_embeddings.count(session, c, self._embedder_id) for c in CHANNELS}
        capacity = {c: count + max(_LEAST_ROOM, count // _ROOM) for c, count in counts.items()}
        needed = sum(capacity.values()) * self._dimension * 4
        if needed > self._memory_bytes:
            self.state = f"would take {needed} bytes of {self._memory_bytes}"
            return None
        rows = {c: _GrowingRows.empty(capacity[c], self._dimension) for c in CHANNELS}
        for channel in CHANNELS:
            for page in self._pages(session, channel, None):
                if not rows[channel].append(page):  # grew by an eighth while being read
                    self.state = "grew faster than it was read"
                    return None
        return rows

    def _pages(
        self, session: Session, channel: Channel, among: NDArray[np.int64] | None
    ) -> Iterator[stored_embeddings.Page]:
        return stored_embeddings.pages(session, channel, self._embedder_id, self._dimension, among)

    def _drop(self, why: str) -> None:
        self._matrix, self._rows, self.state = None, {}, why

    # --- keeping true

    def _patch(self, session: Session, changed: NDArray[np.int64]) -> None:
        """Read what changed again; where that is too much, or there is no room, read everything again, aside."""
        assert self._sessions is not None
        if len(changed) < RELOAD_FROM:
            pages = {c: _joined(self._pages(session, c, changed), self._dimension) for c in CHANNELS}
            if all(self._rows[c].replace(changed, pages[c]) for c in CHANNELS):
                self._matrix = _matrix(self._rows)
                return
        self._start(self._sessions)


@dataclass
class _GrowingRows:
    """Rows (capacity, D) of which the first `used` are written and never written again; whose they are."""

    vectors: NDArray[np.float32]
    owners: NDArray[np.int64]
    used: int = 0

    @classmethod
    def empty(cls, capacity: int, dimension: int) -> "_GrowingRows":
        return cls(np.empty((capacity, dimension), np.float32), np.full(capacity, _GONE, np.int64))

    def append(self, page: stored_embeddings.Page) -> bool:
        """Whether there was room."""
        end = self.used + len(page.ids)
        if end > len(self.owners):
            return False
        self.vectors[self.used : end], self.owners[self.used : end] = page.rows, page.ids
        self.used = end
        return True

    def replace(self, images: NDArray[np.int64], page: stored_embeddings.Page) -> bool:
        """`page` is all there is now of `images`; those it says nothing new of keep their rows."""
        theirs = np.flatnonzero(np.isin(self.owners[: self.used], images))
        before = _fingerprints(images, self.owners[theirs], self.vectors[theirs])
        moved = images[before != _fingerprints(images, page.ids, page.rows)]
        self.owners[theirs[np.isin(self.owners[theirs], moved)]] = _GONE
        new = np.isin(page.ids, moved)
        return self.append(stored_embeddings.Page(page.ids[new], page.rows[new]))

    def of(self, ids: NDArray[np.int64]) -> ChannelRows:
        """The rows of the images `ids`, ascending, which are all that have any."""
        live = np.flatnonzero(self.owners[: self.used] != _GONE)
        rows = live[np.argsort(self.owners[live], kind="stable")]
        start = np.append(np.searchsorted(self.owners[rows], ids), len(rows))
        plain = len(rows) == len(ids) == self.used and bool((np.diff(start) == 1).all())
        ordered = plain and bool((np.diff(rows) > 0).all())
        return ChannelRows(self.vectors[: self.used], None if ordered else rows, start)


def _matrix(channels: dict[Channel, _GrowingRows]) -> EmbeddingMatrix:
    owners: list[NDArray[np.int64]] = [np.unique(rows.owners[: rows.used]) for rows in channels.values()]
    ids = reduce(np.union1d, owners)
    ids = ids[ids != _GONE]
    held = BitMap(ids.astype(np.uint32))
    return EmbeddingMatrix(ids, held, {channel: rows.of(ids) for channel, rows in channels.items()})


def _joined(pages: Iterator[stored_embeddings.Page], dimension: int) -> stored_embeddings.Page:
    parts = [stored_embeddings.Page(np.empty(0, np.int64), np.empty((0, dimension), np.float32)), *pages]
    return stored_embeddings.Page(
        np.concatenate([part.ids for part in parts]), np.concatenate([part.rows for part in parts])
    )


def _fingerprints(
    images: NDArray[np.int64], owners: NDArray[np.int64], rows: NDArray[np.float32]
) -> NDArray[np.uint64]:
    """One number an image (n,), of all its rows in any order; 0 without any. `images` ascend and hold all owners."""
    factors = np.random.default_rng(0).integers(1, 2**63, rows.shape[1], np.uint64)
    prints = np.zeros(len(images), np.uint64)
    values = np.ascontiguousarray(rows).view(np.uint32).astype(np.uint64) @ factors
    np.add.at(prints, np.searchsorted(images, owners), values)
    return prints
