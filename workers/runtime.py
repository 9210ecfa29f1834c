"""What one worker process holds: connections, stores and the models, each made once."""

import logging
import os
import threading
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from indexer import predictors
from indexer.catalog import annotations, connection, images
from indexer.decoding import DecodePool
from indexer.embeddings import EmbeddingStore
from indexer.images import Limits
from indexer.local_stack import endpoints
from indexer.pipeline import Models, Pipeline
from indexer.settings import Settings, get_settings
from indexer.storage import Storage
from indexer.task_queue import WORKER_THREADS, TaskQueue

logger = logging.getLogger(__name__)
MAX_DECODERS = 8


@dataclass(frozen=True)
class Runtime:
    """One worker process's belongings."""

    engine: Engine
    queue: TaskQueue
    pipeline: Pipeline
    task_size: int

    def resume(self) -> None:
        """Queue unfinished images, unless messages are waiting that probably name them already."""
        if self.queue.depth():
            return
        after_id = 0
        while True:
            with self.pipeline.sessions() as session:
                image_ids = images.unfinished(session, after_id)
            if not image_ids:
                return
            logger.info("taking up %d unfinished images", len(image_ids))
            self.queue.index(image_ids, None, self.task_size)
            after_id = image_ids[-1]

    def close(self) -> None:
        """End child processes and connections."""
        self.pipeline.pool.close()
        self.pipeline.store.close()
        self.engine.dispose()


_runtime: Runtime | None = None
_lock = threading.Lock()


def get() -> Runtime:
    """This process's runtime, made on first use."""
    global _runtime  # noqa: PLW0603 - one per process is the point
    with _lock:
        if _runtime is None:
            _runtime = build(get_settings())
        return _runtime


def close() -> None:
    """Release the runtime if it was made."""
    global _runtime  # noqa: PLW0603
    with _lock:
        if _runtime is not None:
            _runtime.close()
            _runtime = None


def build(settings: Settings) -> Runtime:
    """Load the models and connect to everything the settings name."""
    servers = endpoints(settings)
    engine = connection.connect(servers.postgres_url)
    if not connection.is_current(engine):
        connection.migrate(servers.postgres_url)
    models = _load_models(settings)
    sessions = connection.sessions(engine)
    with sessions.begin() as session:
        annotators = register_models(session, models)
    pipeline = Pipeline(
        sessions=sessions,
        storage=Storage(settings.storage),
        store=_open_store(settings, servers.milvus_url, models, engine),
        pool=DecodePool(_decoders(settings), Limits(**settings.images.model_dump())),
        models=models,
        annotators=annotators,
        batch_size=settings.worker.batch_size,
        models_at_once=predictors.share_cores(
            (models.tagger, models.captioner, models.embedder),
            predictors.resolve_device(settings.device),
            WORKER_THREADS,
        ),
    )
    return Runtime(engine, TaskQueue(servers.redis_url), pipeline, settings.worker.task_size)


def _load_models(settings: Settings) -> Models:
    how = predictors.options(settings.device, settings.models_home, settings.precision)
    return Models(
        predictors.load_tagger(settings.tagger, **how, own_tags=settings.own_tag_sets),
        predictors.load_captioner(settings.captioner, **how),
        predictors.load_embedder(settings.embedder, **how),
    )


def _open_store(settings: Settings, url: str, models: Models, engine: Engine) -> EmbeddingStore:
    token = settings.milvus_token.get_secret_value() if settings.milvus_token else None
    store = EmbeddingStore(
        url,
        token=token,
        dimension=models.embedder.dimension,
        model=models.embedder.identity,
        write_lock=connection.milvus_write_lock(engine),
    )
    store.ensure()
    return store


def _decoders(settings: Settings) -> int:
    return settings.worker.decoders or min(os.cpu_count() or 1, MAX_DECODERS)


def register_models(session: Session, models: Models) -> annotations.Annotators:
    """Rows under which the models speak, and the tagger's vocabulary."""
    identities = (models.tagger.identity, models.captioner.identity, models.embedder.identity)
    tagger, captioner, embedder = (
        annotations.annotator_id(session, model.kind, model.name, model.version) for model in identities
    )
    annotations.save_vocabulary(session, tagger, models.tagger.vocabulary)
    file = annotations.annotator_id(session, "file", "metadata")
    return annotations.Annotators(tagger, captioner, embedder, file)
