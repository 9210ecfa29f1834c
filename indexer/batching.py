"""How many images the models look at at once, whose turn it is, and who must be alone."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

LEARNING = 0.3  # weight of a full batch's time against what is known from those before


class BatchSize:
    """How many images to look at at once: no more than take about `seconds` or than fit into memory.

    Long batches would keep an upload waiting. Safe to share among threads.

    Args:
        most: never more than this.
        seconds: what a batch may take; learned from those that were looked at.
    """

    def __init__(self, most: int, seconds: float = 1.0) -> None:
        self._most, self._seconds = most, seconds
        self._per_image_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> int:
        """At least 1."""
        with self._lock:
            return self._now()

    def took(self, images: int, seconds: float) -> None:
        """Learn from a batch; the further it was from full, the less it says."""
        with self._lock:
            weight = LEARNING * min(1.0, images / self._now())
            known = self._per_image_s or seconds / images
            self._per_image_s = known + weight * (seconds / images - known)

    def too_many(self, images: int) -> None:
        """That many did not fit into memory: from now on at most half as many."""
        with self._lock:
            self._most = max(1, min(self._most, images // 2))

    def _now(self) -> int:
        if self._per_image_s * self._most <= self._seconds:
            return self._most
        return max(1, int(self._seconds / self._per_image_s))


class Company:
    """Lets batches in together, or one alone: a batch suspected of killing its worker must not take others with it."""

    def __init__(self) -> None:
        self._inside = 0
        self._one_alone = False
        self._changed = threading.Condition()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Be inside with others, once nobody is or wants to be alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._one_alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until the others have left, and let nobody in meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._one_alone)
            self._one_alone = True
            self._changed.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._one_alone = False
                self._changed.notify_all()


@dataclass(frozen=True)
class Running:
    """A batch being looked at, since when by the monotonic clock."""

    image_ids: Sequence[int]
    since: float


class ModelsTurn:
    """Lets `at_once` batches at a time to the models; a batch somebody waits for goes before the others."""

    def __init__(self, at_once: int = 1) -> None:
        self._free = at_once
        self._urgent = 0
        self._changed = threading.Condition()
        self._running: set[Running] = set()

    @contextmanager
    def take(self, image_ids: Sequence[int], urgent: bool = False) -> Iterator[None]:
        """Wait for a turn and hold it."""
        with self._changed:
            self._urgent += urgent
            self._changed.wait_for(lambda: self._free and (urgent or not self._urgent))
            self._urgent -= urgent
            self._free -= 1
            running = Running(tuple(image_ids), time.monotonic())
            self._running.add(running)
        try:
            yield
        finally:
            with self._changed:
                self._running.discard(running)
                self._free += 1
                self._changed.notify_all()

    def longest(self) -> Running | None:
        """The batch that has been looked at for longest, if any is."""
        with self._changed:
            return min(self._running, key=lambda batch: batch.since, default=None)
