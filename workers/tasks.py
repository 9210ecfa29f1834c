"""Tasks: names, policies, and one call each."""

from celery import shared_task

from indexer.task_queue import WAKE
from workers import runtime


@shared_task(name=WAKE)
def wake(queue: str) -> None:
    """There is something to do in this queue."""
    runtime.get().wake(queue)
