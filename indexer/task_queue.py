"""Names of tasks and how to send them. Importing this reads no settings and no worker code.

A message carries ids only, is sent after the commit that made them true, and may arrive twice.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from redis import Redis, RedisError

from indexer.errors import ServiceUnavailable

if TYPE_CHECKING:
    from celery import Celery

INDEX_IMAGES = "image.index"
DELETE_IMAGES = "image.delete"
QUEUE = "images"
WORKER_THREADS = 2  # of one process, so that one task's decoding overlaps with another's models
# Redis lists by priority, smallest first: one upload does not wait behind half a million files.
INTERACTIVE, BULK = 0, 6

OPTIONS: dict[str, Any] = {
    "task_default_queue": QUEUE,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_ignore_result": True,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {
        "priority_steps": [INTERACTIVE, BULK],
        "queue_order_strategy": "priority",
        "socket_keepalive": True,
        # A message whose worker was killed is delivered again after this long.
        "visibility_timeout": 600,
    },
    "worker_hijack_root_logger": False,
    "worker_send_task_events": False,
    "timezone": "UTC",
}


class TaskQueue:
    """Sends tasks to the workers.

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

    def index(
        self, image_ids: Sequence[int], job_id: int | None, task_size: int = 64, priority: int = BULK
    ) -> None:
        """Ask workers to annotate and store these images, `task_size` to a message.

        Raises:
            ServiceUnavailable: Redis does not answer; the images stay registered and are picked up by
                the next run.
        """
        for part in batched_list(image_ids, task_size):
            self._send(INDEX_IMAGES, {"image_ids": part, "job_id": job_id}, priority)

    def delete(self, image_ids: Sequence[int]) -> None:
        """Ask workers to remove these images everywhere."""
        for part in batched_list(image_ids, 1000):
            self._send(DELETE_IMAGES, {"image_ids": part}, INTERACTIVE)

    def _send(self, task: str, payload: dict[str, Any], priority: int) -> None:
        from kombu.exceptions import OperationalError

        retries = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.3}
        try:
            self._app.send_task(task, kwargs=payload, priority=priority, retry=True, retry_policy=retries)
        except (OperationalError, RedisError, OSError) as error:
            raise ServiceUnavailable(
                "redis", f"Redis does not answer, so nothing could be queued: {error}"
            ) from error

    def depth(self) -> int:
        """Messages waiting, not counting those a worker has taken.

        Raises:
            ServiceUnavailable: Redis does not answer.
        """
        names = [QUEUE if step == INTERACTIVE else f"{QUEUE}\x06\x16{step}" for step in (INTERACTIVE, BULK)]
        try:
            with Redis.from_url(_plain(self.url), socket_timeout=5) as client:
                return sum(int(client.llen(name)) for name in names)
        except (RedisError, OSError) as error:
            raise ServiceUnavailable("redis", f"Redis does not answer: {error}") from error


def batched_list(values: Sequence[int], size: int) -> list[list[int]]:
    """Cut into lists of at most `size`."""
    return [list(values[start : start + size]) for start in range(0, len(values), size)]


def _plain(url: str) -> str:
    """The broker's address as redis-py spells it."""
    return url.replace("redis+socket://", "unix://", 1)
