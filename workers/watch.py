"""Watches over one worker process: a batch without end, too much memory, models nobody needs."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable

import psutil

from indexer.batching import ModelsTurn

logger = logging.getLogger(__name__)
LOOK_S = 1.0
STUCK_STATUS = 70


class Watch:
    """Looks once a second. What it ends is started again by whoever keeps the worker running.

    Args:
        turn: whose turn it is at the models.
        busy: whether anything is at work.
        unload: lets go of the models.
        batch_timeout_s: a batch the models are at for longer ends the process at once. Its images are looked at
            again in halves, so that one that makes them hang is found.
        max_memory_bytes: a process holding more ends after the work at hand; 0: no limit.
        unload_after_s: models not used for so long are let go; 0: never.
    """

    def __init__(
        self,
        turn: ModelsTurn,
        busy: Callable[[], bool],
        unload: Callable[[], None],
        *,
        batch_timeout_s: float,
        max_memory_bytes: int,
        unload_after_s: float,
    ) -> None:
        self._turn, self._busy, self._unload = turn, busy, unload
        self._batch_timeout_s, self._max_memory_bytes = batch_timeout_s, max_memory_bytes
        self._unload_after_s = unload_after_s
        self._idle_since = time.monotonic()
        self._stopped = threading.Event()
        self._process = psutil.Process()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def look(self) -> None:
        """Look once."""
        self._end_stuck()
        self._end_bloated()
        self._unload_idle()

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_S):
            self.look()

    def _end_stuck(self) -> None:
        batch = self._turn.longest()
        if batch is None or time.monotonic() - batch.since < self._batch_timeout_s:
            return
        logger.critical(
            "the models have been at images %s for over %g s: ending this process",
            batch.image_ids,
            self._batch_timeout_s,
        )
        logging.shutdown()
        os._exit(STUCK_STATUS)  # a thread inside a model cannot be stopped in any other way

    def _end_bloated(self) -> None:
        held = self._process.memory_info().rss
        if self._max_memory_bytes and held > self._max_memory_bytes and not self._stopped.is_set():
            logger.warning(
                "holding %d MB, over SIGHTLINE_WORKER__MAX_MEMORY_BYTES: ending after the work at hand",
                held // 2**20,
            )
            self._stopped.set()
            end_gracefully()

    def _unload_idle(self) -> None:
        if self._busy():
            self._idle_since = time.monotonic()
        elif self._unload_after_s and time.monotonic() - self._idle_since > self._unload_after_s:
            self._unload()


def end_gracefully() -> None:
    """Have this worker finish what is at hand and end."""
    os.kill(os.getpid(), signal.SIGTERM)
