"""Where the time goes: seconds by stage, each counted without the stages inside it."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from indexer import metrics


class StageClock:
    """Adds up the seconds spent in each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    def take(self) -> dict[str, float]:
        """The seconds so far, which then start again at nothing."""
        taken, self.seconds = dict(self.seconds), defaultdict(float)
        return taken

    def add(self, name: str, seconds: float) -> None:
        """Count seconds that were measured elsewhere, as in a child process."""
        self.seconds[name] += seconds
        metrics.stage_seconds.labels(stage=name).observe(seconds)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside, less the stages inside that."""
        started = time.perf_counter()
        self._inside.append(0.0)
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            self.add(name, elapsed - self._inside.pop())
            if self._inside:
                self._inside[-1] += elapsed

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make this the clock that `stage` of this module tells, in this thread."""
        token = _running.set(self)
        try:
            yield
        finally:
            _running.reset(token)


_running: ContextVar[StageClock | None] = ContextVar("running clock", default=None)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time what happens inside on the running clock, if there is one."""
    clock = _running.get()
    if clock is None:
        yield
        return
    with clock.stage(name):
        yield
