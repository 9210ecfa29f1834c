"""`celery -A workers.app worker`: the worker's entry point.

Threads, not forked processes: the models are loaded once and shared, Milvus clients and torch dislike
forks, and decoding, which needs isolation, has child processes of its own.
"""

import logging
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init, worker_shutdown

from indexer.local_stack import endpoints
from indexer.settings import get_settings
from indexer.task_queue import OPTIONS
from workers import runtime


def _options() -> dict[str, Any]:
    return {**OPTIONS, "broker_url": endpoints(get_settings()).redis_url}


app = Celery("sightline", include=["workers.tasks"])
app.add_defaults(_options)


@setup_logging.connect
def configure_logging(**_: object) -> None:
    """One line an event, to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)


@worker_init.connect
def take_up_unfinished(**_: object) -> None:
    """Before taking work: load the models, and queue what an interrupted worker left behind."""
    runtime.get().resume()


@worker_shutdown.connect
def close(**_: object) -> None:
    """End decoding processes and connections."""
    runtime.close()
