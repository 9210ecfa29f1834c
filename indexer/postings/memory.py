"""What has been read of the catalogue, kept while there is room and read again where it has changed."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from pyroaring import BitMap
from sqlalchemy.orm import Session

from indexer import metrics
from indexer.catalog import spellings
from indexer.postings.completion import TagIndex
from indexer.postings.feed import MOST_CHANGES, Feed

V = TypeVar("V")


@dataclass(frozen=True)
class Reading(Generic[V]):
    """How something is read. Values are never changed in place: a reader may still hold them.

    `load(revision)` reads all of it, `patch(value, changed, revision)` makes a new value in which the images
    `changed` are read again; both at a moment at which `revision` had been announced. `size` is in bytes. More changed
    images than `worth_patching` have everything read.
    """

    load: Callable[[int], V]
    patch: Callable[[V, BitMap, int], V]
    size: Callable[[V], int]
    worth_patching: int = MOST_CHANGES


@dataclass
class _Entry:
    """One value and the revision it holds; the lock keeps two threads from reading the same thing at once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    revision: int = -1
    value: Any = None
    size: Callable[[], int] = int  # of nothing: 0


class Memory:
    """Values by key, the most recently used `limit` bytes of them; those read as `pinned` stay."""

    def __init__(self, feed: Feed, limit: int) -> None:
        self.feed, self.limit = feed, limit
        self._lock = threading.Lock()
        self._pinned: dict[Hashable, _Entry] = {}
        self._recent: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._tag_names: dict[int, str] = {}
        self._tag_index: tuple[Hashable, TagIndex] | None = None

    def current(self, key: Hashable, reading: Reading[V], revision: int, *, pinned: bool = False) -> V:
        """The value at `revision` or later, read or patched first if need be."""
        entry = self._entry(key, pinned)
        with entry.lock:
            kept = metrics.cache_misses if entry.revision < revision else metrics.cache_hits
            kept.labels(cache="postings").inc()
            if entry.revision < revision:
                # A value read from here on holds all that was announced by now.
                now = self.feed.revision
                entry.value = self._read(entry, reading, now)
                entry.revision = now
                # What is pinned is measured when somebody asks: it takes longer than correcting it.
                entry.size = (
                    partial(reading.size, entry.value) if pinned else partial(int, reading.size(entry.value))
                )
            value: V = entry.value
        if not pinned:
            self._make_room()
        return value

    def holds(self, key: Hashable) -> bool:
        """Whether something has been read under this key, and is pinned."""
        entry = self._pinned.get(key)
        return entry is not None and entry.revision >= 0

    def tag_names(self, session: Session, tag_ids: Sequence[int]) -> dict[int, str]:
        """Names by id. A tag keeps its name, and an id is never given twice: what has been read stays true."""
        unknown = [tag_id for tag_id in tag_ids if tag_id not in self._tag_names]
        if unknown:
            self._tag_names.update(spellings.names(session, unknown))
        return {tag_id: self._tag_names[tag_id] for tag_id in tag_ids if tag_id in self._tag_names}

    def tag_index(self, session: Session) -> TagIndex:
        """Every name of every tag, read again when any was added, changed or removed."""
        edition = spellings.edition(session)
        with self._lock:
            kept = self._tag_index
        if kept is None or kept[0] != edition:
            kept = edition, TagIndex(spellings.own(session), spellings.others(session))
            with self._lock:
                self._tag_index = kept
        return kept[1]

    def size(self) -> int:
        """Bytes of all values."""
        with self._lock:
            return sum(entry.size() for entry in (*self._pinned.values(), *self._recent.values()))

    def _read(self, entry: _Entry, reading: Reading[V], now: int) -> V:
        changed = self.feed.changed(entry.revision, now) if entry.revision >= 0 else None
        if changed is None or len(changed) > reading.worth_patching:
            return reading.load(now)
        return reading.patch(entry.value, changed, now) if changed else entry.value

    def _entry(self, key: Hashable, pinned: bool) -> _Entry:
        with self._lock:
            if pinned:
                return self._pinned.setdefault(key, _Entry())
            entry = self._recent.setdefault(key, _Entry())
            self._recent.move_to_end(key)
            return entry

    def _make_room(self) -> None:
        with self._lock:
            total = sum(entry.size() for entry in self._recent.values())
            while total > self.limit and len(self._recent) > 1:
                _, entry = self._recent.popitem(last=False)
                total -= entry.size()
