"""What one worker process holds: connections, stores, the models, and a drain for each queue it works on."""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy import Engine

from indexer import predictors
from indexer.batching import BatchSize, ModelsTurn
from indexer.catalog import connection
from indexer.decoding import DecodePool
from indexer.embeddings.stores import EmbeddingStores
from indexer.images import Limits
from indexer.local_stack import endpoints
from indexer.pipeline import Pipeline
from indexer.publishing import Publisher
from indexer.reindexing.in_effect import choice_of
from indexer.settings import Settings, get_settings
from indexer.storage import Storage
from indexer.task_queue import INDEX, WRITES
from workers.drain import Drain
from workers.indexing import IndexStep
from workers.models import ModelsInEffect
from workers.presence import Presence

logger = logging.getLogger(__name__)
MAX_DECODERS = 8
MODEL_THREADS = 2  # batches looked at side by side where the models leave cores idle
PUBLISHERS = 1  # Lite takes one writer, and one fills whole chunks
INDEX_SLOTS = MODEL_THREADS + 1  # one batch is decoded or saved while the others are looked at


@dataclass
class Runtime:
    """One worker process's belongings."""

    engine: Engine
    models: ModelsInEffect
    road: Pipeline
    stores: EmbeddingStores
    publisher: Publisher
    presence: Presence
    stopping: threading.Event
    drains: dict[str, list[Drain]] = field(default_factory=dict)
    started: list[Drain] = field(default_factory=list)

    @property
    def pipeline(self) -> Pipeline:
        """The road with the models in effect, loaded if they are not."""
        loaded = self.models.get()
        saved = partial(self.wake, WRITES)
        return replace(self.road, models=loaded.models, annotators=loaded.annotators, saved=saved)

    def start(self, queues: Sequence[str]) -> None:
        """Work on these queues in the background."""
        self.presence.start()
        self.started = [drain for queue in queues for drain in self.drains.get(queue, [])]
        for drain in self.started:
            drain.start()

    def wake(self, queue: str) -> None:
        """There is something to do in this queue."""
        for drain in self.drains.get(queue, []):
            drain.wake()

    def close(self) -> None:
        """Finish what is at hand, end child processes and connections."""
        self.stopping.set()
        for drain in self.started:
            drain.join()
        self.presence.leave()
        self.road.pool.close()
        self.stores.close()
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
    """Load the models and connect to everything the settings name; nothing is worked on before `start`."""
    servers = endpoints(settings)
    engine = connection.connect(servers.postgres_url)
    if not connection.is_current(engine):
        connection.migrate(servers.postgres_url)
    sessions = connection.sessions(engine)
    models = ModelsInEffect(sessions, choice_of(settings))
    stores = _open_stores(settings, servers.milvus_url, engine)
    runtime = Runtime(
        engine,
        models,
        _pipeline(settings, engine, models),
        stores,
        Publisher(sessions, stores),
        Presence(sessions),
        threading.Event(),
    )
    runtime.drains = {
        INDEX: list(_index_drains(runtime)),
        WRITES: [Drain("writes", runtime.publisher.step, PUBLISHERS, runtime.stopping)],
    }
    return runtime


def _index_drains(runtime: Runtime) -> Iterator[Drain]:
    for name, slots, urgent in (("index", INDEX_SLOTS, False), ("urgent", 1, True)):
        step = IndexStep(
            runtime.road.sessions, runtime.presence, lambda: runtime.pipeline, runtime.road.size, urgent
        )
        yield Drain(name, step, slots, runtime.stopping)


def _pipeline(settings: Settings, engine: Engine, in_effect: ModelsInEffect) -> Pipeline:
    loaded = in_effect.get()
    models = loaded.models
    at_once = predictors.share_cores(
        (models.tagger, models.captioner, models.embedder),
        predictors.resolve_device(settings.device),
        MODEL_THREADS,
    )
    models.warm_up()
    return Pipeline(
        sessions=connection.sessions(engine),
        storage=Storage(settings.storage),
        pool=DecodePool(_decoders(settings), Limits(**settings.images.model_dump())),
        models=models,
        annotators=loaded.annotators,
        size=BatchSize(settings.worker.batch_size),
        turn=ModelsTurn(at_once),
    )


def _open_stores(settings: Settings, url: str, engine: Engine) -> EmbeddingStores:
    token = settings.milvus_token.get_secret_value() if settings.milvus_token else None
    return EmbeddingStores(url, token=token, write_lock=connection.milvus_write_lock(engine))


def _decoders(settings: Settings) -> int:
    return settings.worker.decoders or min(os.cpu_count() or 1, MAX_DECODERS)
