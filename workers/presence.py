"""Tells the other workers that this one lives, and frees what dead ones had claimed."""

import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import claims
from indexer.local_stack.identity import boot, start_mark

logger = logging.getLogger(__name__)
BEAT_S = 10.0


class Presence:
    """One worker process among the others. Safe to share among threads."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()
        self._worker_id: int | None = None
        self._in_hand: set[int] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    @property
    def worker_id(self) -> int:
        """Under which this process claims work; another one after it was taken for dead."""
        with self._lock:
            if self._worker_id is None:
                with self._sessions.begin() as session:
                    self._worker_id = claims.register_worker(session, host(), os.getpid())
            return self._worker_id

    @contextmanager
    def holding(self, image_ids: Sequence[int]) -> Iterator[None]:
        """Keep the claims on these images alive meanwhile."""
        self._in_hand.update(image_ids)
        try:
            yield
        finally:
            self._in_hand.difference_update(image_ids)

    def start(self) -> None:
        """Beat from now on; what the worker here before had claimed is free at once."""
        self.beat()
        self._thread.start()

    def beat(self) -> None:
        """One heartbeat; raises what the database raises."""
        worker_id = self.worker_id
        with self._sessions.begin() as session:
            known = claims.heartbeat(session, worker_id, list(self._in_hand))
            dead = claims.free_dead(session, worker_id, host(), _is_alive)
        for pid in dead:
            logger.warning("the worker of process %d is gone; what it had at hand is taken up", pid)
        if not known:
            logger.warning("this worker was taken for dead; it goes on under a new id")
            with self._lock:
                self._worker_id = None

    def leave(self) -> None:
        """Say good-bye; if Postgres is away, the others will notice by themselves."""
        self._stopped.set()
        with self._lock:
            if self._worker_id is None:
                return
            try:
                with self._sessions.begin() as session:
                    claims.leave(session, self._worker_id)
            except SQLAlchemyError as error:
                logger.warning("left without a word: %s", error)
            self._worker_id = None

    def _beat_on(self) -> None:
        while not self._stopped.wait(BEAT_S):
            try:
                self.beat()
            except SQLAlchemyError as error:
                logger.warning("no heartbeat: %s", error)


def host() -> str:
    """Within which a process id means one process: the machine since it was started, or the container on it."""
    namespace = str(Path("/proc/self/ns/pid").readlink()) if sys.platform == "linux" else ""
    return f"{socket.gethostname()} {boot()} {namespace}".strip()


def _is_alive(pid: int) -> bool:
    return pid != os.getpid() and start_mark(pid) is not None
