"""Whether a search has its process to itself: only then does the time it took say what its plan costs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Crowd:
    """The searches under way. Safe to share among threads.

    Where dozens wait for the same cores, each takes as long as the others make it wait, whatever its plan: a plan
    that costs a thousandth of another looks the same, or worse for having been taken more often.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present = 0
        self._arrivals = 0

    @contextmanager
    def joined(self) -> Iterator[Callable[[], bool]]:
        """Be one of them; what is handed out says whether nobody else has been there since."""
        with self._lock:
            alone = self._present == 0
            self._present += 1
            self._arrivals += 1
            arrived = self._arrivals
        try:
            yield lambda: alone and self._arrivals == arrived
        finally:
            with self._lock:
                self._present -= 1
