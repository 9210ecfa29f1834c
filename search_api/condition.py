"""What does not work at the moment: looked after aside, so that no answer waits for it."""

import logging
import threading
from collections.abc import Callable, Mapping

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import backlog
from indexer.embeddings.connection import MilvusConnection
from indexer.errors import ServiceUnavailable
from indexer.search.result import Missing
from indexer.task_queue import TaskQueue

logger = logging.getLogger(__name__)
LOOK_S = 2.0

# What each part's absence means for whoever searches; more cannot be said before a search was made.
MEANS = {
    "milvus": "Milvus does not answer; searches go on without it.",
    "redis": "Redis does not answer; pictures are still taken in, and noticed a moment later.",
    "workers": "No worker is running; new pictures wait until one is.",
}
Check = Callable[[], object]


class Condition:
    """Which parts are missing. Safe to share among threads.

    Args:
        checks: by part, raises while it does not work.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._closing = threading.Event()
        self.missing: tuple[Missing, ...] = ()  # as of the last look

    def check(self, part: str) -> None:
        """Look now; raises what keeps the part from working."""
        self._checks[part]()

    def look(self) -> None:
        """Look at every part now, and remember what is missing."""
        found = [part for part in self._checks if self._fails(part)]
        if found != [part.part for part in self.missing]:
            logger.warning("missing: %s", ", ".join(found) or "nothing any more")
        self.missing = tuple(Missing(part, MEANS[part]) for part in found)

    def watch(self, mend: Callable[[], None]) -> None:
        """Look from now on every two seconds, aside; `mend` is called while a server is missing."""

        def look_on() -> None:
            while not self._closing.is_set():
                self.look()
                if {part.part for part in self.missing} - {"workers"}:
                    mend()
                self._closing.wait(LOOK_S)

        threading.Thread(target=look_on, name="condition", daemon=True).start()

    def close(self) -> None:
        """Look no longer."""
        self._closing.set()

    def _fails(self, part: str) -> bool:
        try:
            self.check(part)
        except Exception as error:
            logger.debug("%s: %s", part, error)
            return True
        return False


def checks(
    queue: Callable[[], TaskQueue],
    milvus: Callable[[], MilvusConnection],
    sessions: Callable[[], sessionmaker[Session]],
) -> dict[str, Check]:
    """How each part is asked whether it works."""

    def answers() -> None:
        if not milvus().healthy():
            raise ServiceUnavailable("milvus", "Milvus does not answer.")

    def works() -> None:
        try:
            with sessions()() as session:
                alive = backlog.workers(session)
        except (ServiceUnavailable, OperationalError):  # without Postgres nobody knows
            return
        if not alive:
            raise ServiceUnavailable("workers", MEANS["workers"])

    return {"milvus": answers, "redis": lambda: queue().depth(), "workers": works}
