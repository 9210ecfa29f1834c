"""Real worker processes over a catalogue of the test's own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from indexer import local_stack
from indexer.catalog import images, work
from indexer.ingest import read_file
from indexer.tables import Image
from indexer.task_queue import TaskQueue
from tests.conftest import ROOT
from tests.indexer.conftest import Library, library, models, photographs, pool
from workers.presence import Presence

__all__ = ["library", "models", "photographs", "pool"]  # what a step works with

ARGUMENTS = ("--pool", "threads", "--concurrency", "1", "--without-gossip", "--without-mingle")


class Crew:
    """Pictures in a library, and the worker processes that look at them."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        stack: local_stack.Endpoints,
        folder: Path,
        environment: dict[str, str],
    ) -> None:
        self.sessions, self.folder = sessions, folder
        self.queue = TaskQueue(stack.redis_url)
        self._environment = environment
        self._random = np.random.default_rng(7)
        self.workers: list[subprocess.Popen[bytes]] = []

    def add(self, count: int, red: Sequence[int] = (), priority: int = work.BULK) -> list[int]:
        """Register pictures, those of these numbers all red; their image ids. No worker is told."""
        files = []
        for number in range(count):
            path = self.folder / f"{len(list(self.folder.glob('*.png')))}.png"
            shade = self._random.integers(0, 6)
            noise = self._random.integers(0, 255, size=(24, 32, 3), dtype=np.uint8)
            plain = np.full((24, 32, 3), (255 - shade, shade, shade), np.uint8)
            Pillow.fromarray(plain if number in red else noise).resize((320, 240)).save(path)
            files.append(read_file(path, path.as_uri(), 10**8))
        with self.sessions.begin() as session:
            return [row.image_id for row in images.register(session, files, priority=priority)]

    def start(
        self, double: str = "", redis_url: str | None = None, queues: str = "", **settings: object
    ) -> "subprocess.Popen[bytes]":
        """One more worker, with a double's fault, queues and settings of its own."""
        redis = {"SIGHTLINE_REDIS_URL": redis_url} if redis_url else {}
        names = {f"SIGHTLINE_WORKER__{name.upper()}": str(value) for name, value in settings.items()}
        log = (self.folder / "worker.log").open("ab")
        worker = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.workers.doubles",
                *ARGUMENTS,
                *(["--queues", queues] if queues else []),
            ],
            cwd=ROOT,
            env={**os.environ, **self._environment, **redis, **names, "SIGHTLINE_DOUBLE": double},
            stdout=log,
            stderr=log,
        )
        log.close()
        self.workers.append(worker)
        return worker

    def states(self, image_ids: Sequence[int]) -> dict[int, str]:
        """What has become of these images."""
        with self.sessions() as session:
            query = select(Image.id, Image.state).where(Image.id.in_(image_ids))
            return dict(session.execute(query).all())

    def until(
        self, holds: Callable[[], bool], within_s: float, keep: Callable[[], object] = lambda: None
    ) -> None:
        """Wait, looking after workers by `keep`; fails with the log."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, self.log[-6000:]
            keep()
            time.sleep(0.1)

    def finished(self, image_ids: Sequence[int]) -> bool:
        """Whether nothing is left to wait for."""
        return set(self.states(image_ids).values()) <= {"indexed", "failed", "dead"}

    @property
    def log(self) -> str:
        """What the workers wrote."""
        return (self.folder / "worker.log").read_text()

    def end(self) -> None:
        """Kill who is left."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
            worker.wait(30)


@pytest.fixture
def crew(
    sessions: sessionmaker[Session],
    postgres_url: str,
    stack: local_stack.Endpoints,
    tmp_path: Path,
) -> Iterator[Crew]:
    """An empty library, no worker yet."""
    (tmp_path / "home").mkdir()
    (tmp_path / "pictures").mkdir()
    environment = {
        "SIGHTLINE_HOME": str(tmp_path / "home"),
        "SIGHTLINE_POSTGRES_URL": postgres_url.replace("postgresql+psycopg", "postgresql"),
        "SIGHTLINE_REDIS_URL": stack.redis_url.replace("redis+socket", "unix"),
        "SIGHTLINE_MILVUS_URL": stack.milvus_url,
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    crew = Crew(sessions, stack, tmp_path / "pictures", environment)
    yield crew
    crew.end()


@pytest.fixture
def presence(library: Library) -> Iterator[Presence]:
    """This process as a worker."""
    presence = Presence(library.sessions)
    yield presence
    presence.leave()
