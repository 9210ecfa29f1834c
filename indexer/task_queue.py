"""Wakes the workers. Importing this reads no settings and no worker code.

What is to be done is in Postgres; a message only says that there is something. It may get lost, or come twice, or find
nothing left to do: workers look by themselves once a second.
"""

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from redis import Redis, RedisError

from indexer.errors import ServiceUnavailable

if TYPE_CHECKING:
    from celery import Celery

logger = logging.getLogger(__name__)
FETCH, DECODE, INDEX, WRITES, BACKFILL = "fetch", "decode", "index", "writes", "backfill"
QUEUES = (FETCH, DECODE, INDEX, WRITES, BACKFILL)
WAKE = "queue.wake"
# So many messages wait already: one more would wake nobody else, and they must not pile up where there are no workers.
ENOUGH = 16
ANSWER_S = 1.0  # nobody who uploads waits longer for a Redis that is away

OPTIONS: dict[str, Any] = {
    "task_default_queue": INDEX,
    "task_create_missing_queues": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_ignore_result": True,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    # Work goes on without Redis, so it is looked for as long as it takes.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "socket_keepalive": True,
        "socket_connect_timeout": ANSWER_S,
        # A message whose worker was killed is delivered again after this long.
        "visibility_timeout": 600,
    },
    "worker_hijack_root_logger": False,
    "worker_send_task_events": False,
    "timezone": "UTC",
}


class TaskQueue:
    """Sends messages to the workers.

    Args:
        url: the broker's address, `redis://...` or `redis+socket://...`.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def _app(self) -> "Celery":
        from celery import Celery  # half a second that commands without work for a worker are spared

        app = Celery("sightline", broker=self.url)
        app.conf.update(OPTIONS)
        return app

    @cached_property
    def _redis(self) -> Redis:
        return Redis.from_url(_plain(self.url), socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S)

    def wake(self, queue: str = INDEX) -> bool:
        """Tell the workers of a queue, after the commit, that there is something to do.

        Returns:
            Whether Redis took the message. If not, nothing is lost: workers find it within a second.
        """
        try:
            if self.depth(queue) < ENOUGH:
                self._send(WAKE, {"queue": queue}, queue)
        except ServiceUnavailable as error:
            logger.warning("nobody was woken for %s: %s", queue, error)
            return False
        return True

    def _send(self, task: str, payload: dict[str, Any], queue: str) -> None:
        from kombu.exceptions import OperationalError

        try:
            self._app.send_task(task, kwargs=payload, queue=queue, retry=False)
        except (OperationalError, RedisError, OSError) as error:
            raise ServiceUnavailable("redis", f"Redis does not answer: {error}") from error

    def depth(self, *queues: str) -> int:
        """Messages waiting in these queues (in all, if none is named), not counting those a worker has taken.

        Raises:
            ServiceUnavailable: Redis does not answer.
        """
        try:
            return sum(int(self._redis.llen(name)) for name in queues or QUEUES)
        except (RedisError, OSError) as error:
            raise ServiceUnavailable("redis", f"Redis does not answer: {error}") from error


def _plain(url: str) -> str:
    """The broker's address as redis-py spells it."""
    return url.replace("redis+socket://", "unix://", 1)
