"""A drain empties one kind of queue: each of its slots does one piece of work after another while there is any.

Whoever makes work wakes it; should nobody manage to, it looks by itself once a second. So nothing depends on a message.
"""

import logging
import random
import threading
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import OperationalError

from indexer.errors import ServiceUnavailable

logger = logging.getLogger(__name__)
SWEEP_S = 1.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0  # after failures: a store that is back is noticed soon


class Step(Protocol):
    """One piece of work: a batch, a page."""

    def __call__(self) -> bool:
        """Whether anything was done, so that there may be more; raises what keeps it from working now."""
        ...


class Drain:
    """Runs a step in `slots` threads at most, until there is nothing left to do.

    Args:
        name: of the queue.
        step: called again and again; from several threads, if there are several slots.
        slots: how many at once.
        stopping: once set, a step at hand is finished and no other begun.
        heal: called when a store is away, to bring back what can be brought back from here.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        slots: int,
        stopping: threading.Event,
        heal: Callable[[], object] = lambda: None,
    ) -> None:
        self.name, self._step, self._stopping, self._heal = name, step, stopping, heal
        self._free = threading.Semaphore(slots)
        self._slots = slots
        self._busy = 0
        self._count = threading.Lock()
        self._woken = [threading.Event() for _ in range(slots)]
        self._threads: list[threading.Thread] = []

    @property
    def busy(self) -> int:
        """How many slots are at work."""
        return self._busy

    def run(self) -> None:
        """Work here until there is nothing left to do; returns at once if all slots are busy.

        What a step raises is logged, and after a while it is tried again.
        """
        if not self._free.acquire(blocking=False):
            return
        self._add_busy(1)
        failures = 0
        try:
            while not self._stopping.is_set():
                try:
                    if not self._step():
                        return
                    failures = 0
                except (ServiceUnavailable, OperationalError) as error:
                    failures += 1
                    logger.warning("%s: a store is away: %s", self.name, error)
                    self._stopping.wait(_wait_s(failures))
                    self._mend()
                except Exception:
                    failures += 1
                    logger.exception("%s: failed", self.name)
                    self._stopping.wait(_wait_s(failures))
        finally:
            self._add_busy(-1)
            self._free.release()

    def start(self) -> None:
        """Begin to work in the background."""
        for number, woken in enumerate(self._woken):
            name = f"{self.name} {number}"
            thread = threading.Thread(target=self._serve, args=[woken], name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """There may be work: look now."""
        for woken in self._woken:
            woken.set()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the steps at hand, once `stopping` is set; whether all of them are done."""
        self.wake()
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _serve(self, woken: threading.Event) -> None:
        while not self._stopping.is_set():
            self.run()
            woken.wait(SWEEP_S * random.uniform(0.5, 1.0))
            woken.clear()

    def _mend(self) -> None:
        if self._stopping.is_set():
            return
        try:
            self._heal()
        except Exception as error:  # whatever it is, this thread goes on
            logger.warning("%s: still away: %r", self.name, error)

    def _add_busy(self, change: int) -> None:
        with self._count:
            self._busy += change


def _wait_s(failures: int) -> float:
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**failures) * random.uniform(0.5, 1.0)
