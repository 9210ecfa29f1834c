"""Tasks: names, policies, and one call each into the pipeline."""

from collections.abc import Sequence

from celery import shared_task
from sqlalchemy.exc import OperationalError

from indexer.errors import ServiceUnavailable
from indexer.task_queue import DELETE_IMAGES, INDEX_IMAGES
from workers import runtime

# A store that is away comes back: wait longer each time, with jitter, about half an hour in all.
WAIT_FOR_STORES = {
    "autoretry_for": (ServiceUnavailable, OperationalError),
    "retry_backoff": 2,
    "retry_backoff_max": 120,
    "retry_jitter": True,
    "max_retries": 20,
}


@shared_task(name=INDEX_IMAGES, **WAIT_FOR_STORES)
def index_images(image_ids: Sequence[int], job_id: int | None = None) -> None:
    """Annotate and store these images; those already finished are passed over."""
    runtime.get().pipeline.index(image_ids, job_id)


@shared_task(name=DELETE_IMAGES, **WAIT_FOR_STORES)
def delete_images(image_ids: Sequence[int]) -> None:
    """Remove these images everywhere."""
    runtime.get().pipeline.delete(image_ids)
