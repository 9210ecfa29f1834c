"""Tasks: names, policies, and one call each."""

from collections.abc import Sequence

from celery import shared_task
from sqlalchemy.exc import OperationalError

from indexer.errors import ServiceUnavailable
from indexer.task_queue import DELETE_IMAGES, WAKE
from workers import runtime

# A store that is away comes back: wait longer each time, with jitter, about half an hour in all.
WAIT_FOR_STORES = {
    "autoretry_for": (ServiceUnavailable, OperationalError),
    "retry_backoff": 2,
    "retry_backoff_max": 120,
    "retry_jitter": True,
    "max_retries": 20,
}


@shared_task(name=WAKE)
def wake(queue: str) -> None:
    """There is something to do in this queue."""
    runtime.get().wake(queue)


@shared_task(name=DELETE_IMAGES, **WAIT_FOR_STORES)
def delete_images(image_ids: Sequence[int]) -> None:
    """Remove these images everywhere."""
    runtime.get().pipeline.delete(image_ids)
