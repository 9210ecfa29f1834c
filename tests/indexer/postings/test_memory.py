"""What has been read, kept and corrected."""

import threading
import time

import numpy as np
from pyroaring import BitMap

from indexer.postings.feed import Feed
from indexer.postings.memory import Memory, Reading


class Numbers:
    """Something to read: what was read when, as a set of revisions."""

    def __init__(self, worth_patching: int = 10) -> None:
        self.loads = 0
        self.patches: list[set[int]] = []
        self.reading: Reading[list[int]] = Reading(
            self._load, self._patch, lambda value: 10 * len(value), worth_patching
        )

    def _load(self, revision: int) -> list[int]:
        self.loads += 1
        return [revision]

    def _patch(self, value: list[int], changed: BitMap, revision: int) -> list[int]:
        self.patches.append(set(changed))
        return [*value, revision]


def _announce(feed: Feed, *image_ids: int) -> int:
    feed._announce(np.array(image_ids))
    return feed.revision


def test_read_once_then_patched() -> None:
    """Only what has changed since is read again, in one go."""
    feed, numbers = Feed(), Numbers()
    memory = Memory(feed, 1000)
    assert memory.current("a", numbers.reading, 0) == [0]
    assert memory.current("a", numbers.reading, 0) == [0]
    _announce(feed, 1, 2)
    now = _announce(feed, 2, 3)
    assert memory.current("a", numbers.reading, now) == [0, 2]
    assert (numbers.loads, numbers.patches) == (1, [{1, 2, 3}])


def test_newer_than_asked_for() -> None:
    """What is read now holds everything announced by now, though an older view asks."""
    feed, numbers = Feed(), Numbers()
    memory = Memory(feed, 1000)
    now = _announce(feed, 1)
    assert memory.current("a", numbers.reading, 0) == [now]
    assert memory.current("a", numbers.reading, now) == [now]
    assert numbers.patches == []


def test_not_worth_patching() -> None:
    """Everything is read anew."""
    feed, numbers = Feed(), Numbers(worth_patching=2)
    memory = Memory(feed, 1000)
    memory.current("a", numbers.reading, 0)
    assert memory.current("a", numbers.reading, _announce(feed, 1, 2, 3)) == [1]
    assert (numbers.loads, numbers.patches) == (2, [])


def test_room() -> None:
    """The least recently used give way; what is pinned stays."""
    memory, numbers = Memory(Feed(), 20), Numbers()
    memory.current("pinned", numbers.reading, 0, pinned=True)
    for key in ("a", "b", "a", "c"):
        memory.current(key, numbers.reading, 0)
    assert numbers.loads == 4
    memory.current("a", numbers.reading, 0)
    memory.current("pinned", numbers.reading, 0, pinned=True)
    assert numbers.loads == 4
    memory.current("b", numbers.reading, 0)
    assert numbers.loads == 5
    assert memory.size() == 30
    assert memory.holds("pinned")
    assert not memory.holds("a")


def test_read_by_one_thread_at_a_time() -> None:
    """The others wait for what the first one reads."""
    memory, loads = Memory(Feed(), 1000), []

    def load(_: int) -> str:
        loads.append(1)
        time.sleep(0.05)
        return "read"

    reading = Reading(load, lambda value, *_: value, len)
    threads = [threading.Thread(target=memory.current, args=("a", reading, 0)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
