"""Tasks: names, policies, and one call each."""

from celery import Task, shared_task

from indexer import logs
from indexer.task_queue import WAKE
from workers import runtime


@shared_task(name=WAKE, bind=True)
def wake(self: Task, queue: str) -> None:
    """There is something to do in this queue."""
    with logs.binding(task_id=self.request.id):
        runtime.get().wake(queue)
