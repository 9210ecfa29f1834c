"""`celery -A workers.app worker`: the worker's entry point.

Celery brings the messages that wake the drains; these work in threads of their own. Threads, not forked processes: the
models are loaded once and shared, Milvus clients and torch dislike forks, and decoding, which needs isolation, has
child processes of its own.
"""

import logging
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init, worker_shutdown, worker_shutting_down
from kombu.entity import Exchange, Queue

from indexer import logs
from indexer.local_stack import endpoints
from indexer.settings import get_settings
from indexer.task_queue import OPTIONS, QUEUES
from workers import runtime
from workers.telemetry import Telemetry

logger = logging.getLogger(__name__)


def _options() -> dict[str, Any]:
    # Each with an exchange of its own: by the default one, a message to one of them reaches them all.
    queues = [Queue(name, Exchange(name), name) for name in QUEUES]
    return {**OPTIONS, "broker_url": endpoints(get_settings()).redis_url, "task_queues": queues}


app = Celery("sightline", include=["workers.tasks"])
app.add_defaults(_options)


@setup_logging.connect
def configure_logging(**_: object) -> None:
    """One line an event, to standard error."""
    settings = get_settings()
    logs.configure(settings.logs.format, settings.logs.level or "INFO")
    for name in ("celery.worker.strategy", "celery.app.trace"):  # a line for every message would be of no use
        logging.getLogger(name).setLevel(logging.WARNING)


@worker_init.connect
def start(sender: Any, **_: object) -> None:
    """Load the models, then work on the queues this worker was started for.

    Celery would log an error and go on without any of it, so the process is ended here.
    """
    worker = get_settings().worker
    try:
        telemetry = Telemetry(worker.metrics_host, worker.metrics_port) if worker.metrics_port else None
        runtime.get().start(list(sender.app.amqp.queues.consume_from))
    except Exception as error:
        logger.exception("this worker cannot work")
        raise SystemExit(1) from error
    if telemetry is not None:
        telemetry.ready.set()


@worker_shutting_down.connect
def stop(**_: object) -> None:
    """Begin nothing more."""
    runtime.get().stopping.set()


@worker_shutdown.connect
def close(**_: object) -> None:
    """Finish what is at hand; end decoding processes and connections."""
    runtime.close()
