"""What one worker process holds: connections, stores, the models, and a drain for each queue it works on."""

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from indexer import predictors
from indexer.batching import BatchSize, Company, ModelsTurn
from indexer.catalog import connection
from indexer.decoder import Decoder
from indexer.decoding import DecodePool
from indexer.embeddings.stores import EmbeddingStores
from indexer.errors import ModelMissing
from indexer.images import Limits
from indexer.local_stack import endpoints
from indexer.pipeline import Pipeline
from indexer.publishing import Publisher
from indexer.reindexing.in_effect import choice_of
from indexer.settings import Settings, get_settings
from indexer.storage import Storage
from indexer.task_queue import BACKFILL, DECODE, FETCH, INDEX, WRITES, TaskQueue
from workers.backfilling import SLOTS, backfill
from workers.drain import Drain, Step
from workers.fetching import fetcher
from workers.indexing import IndexStep
from workers.models import ModelsInEffect
from workers.preparing import PrepareStep
from workers.presence import Presence
from workers.watch import Watch

logger = logging.getLogger(__name__)
MAX_DECODERS = 8
MODEL_THREADS = 2  # batches looked at side by side where the models leave cores idle
PUBLISHERS = 1  # Lite takes one writer, and one fills whole chunks
INDEX_SLOTS = MODEL_THREADS + 1  # one batch is decoded or saved while the others are looked at
PREPARERS = 2  # one claim is written while the other is decoded
IMAGES_PER_DECODER = 4  # in such a claim


@dataclass
class Runtime:
    """One worker process's belongings."""

    settings: Settings
    engine: Engine
    queue: TaskQueue
    storage: Storage
    pool: DecodePool
    models: ModelsInEffect
    stores: EmbeddingStores
    publisher: Publisher
    presence: Presence
    size: BatchSize
    turn: ModelsTurn = field(default_factory=ModelsTurn)
    stopping: threading.Event = field(default_factory=threading.Event)
    drains: dict[str, list[Drain]] = field(default_factory=dict)
    started: list[Drain] = field(default_factory=list)
    watch: Watch | None = None

    @property
    def sessions(self) -> sessionmaker[Session]:
        """Makes sessions on the catalogue."""
        return connection.sessions(self.engine)

    @property
    def pipeline(self) -> Pipeline:
        """The road with the models in effect, loaded if they are not."""
        loaded = self.models.get()
        return Pipeline(
            sessions=self.sessions,
            storage=self.storage,
            pool=self.pool,
            models=loaded.models,
            annotators=loaded.annotators,
            saved=partial(self.tell, WRITES),
            size=self.size,
            turn=self.turn,
        )

    def start(self, queues: Sequence[str]) -> None:
        """Work on these queues in the background; models that are needed for it are loaded and warm by then.

        Where images are looked at they are decoded too: ahead, they are for models elsewhere.
        """
        if INDEX in queues:
            queues = [queue for queue in queues if queue != DECODE]
        self.presence.start()
        if {INDEX, BACKFILL} & set(queues):
            self._warm_up()
        self.watch = self._make_watch()
        self.watch.start()
        self.started = [drain for queue in queues for drain in self.drains.get(queue, [])]
        for drain in self.started:
            drain.start()

    def wake(self, queue: str) -> None:
        """There is something to do in this queue."""
        for drain in self.drains.get(queue, []):
            drain.wake()

    def tell(self, queue: str) -> None:
        """Tell whoever works on this queue, here or elsewhere, that there is something to do."""
        if any(drain in self.started for drain in self.drains.get(queue, [])):
            self.wake(queue)
        else:
            self.queue.wake(queue)

    def close(self) -> None:
        """Finish what is at hand, end child processes and connections."""
        self.stopping.set()
        for drain in self.started:
            drain.join()
        if self.watch is not None:
            self.watch.stop()
        self.presence.leave()
        self.pool.close()
        self.stores.close()
        self.engine.dispose()

    def _warm_up(self) -> None:
        """Load the models before any work is taken, and share the cores among batches.

        Where one is not on this machine, images wait; changing to another model is what there is to do.
        """
        try:
            models = self.models.get().models
        except ModelMissing as error:
            logger.warning("nothing can be indexed here: %s", error)
            return
        device = predictors.resolve_device(self.settings.device)
        networks = (models.tagger, models.captioner, models.embedder)
        self.turn = ModelsTurn(predictors.share_cores(networks, device, MODEL_THREADS))
        models.warm_up()

    def _unload(self) -> None:
        if self.models.loaded:
            logger.info("the models are let go until they are needed")
            self.models.unload()
            predictors.free_memory()

    def _make_watch(self) -> Watch:
        worker = self.settings.worker
        at_models = [drain for queue in (INDEX, BACKFILL) for drain in self.drains.get(queue, [])]
        return Watch(
            self.turn,
            lambda: any(drain.busy for drain in at_models),
            self._unload,
            batch_timeout_s=worker.batch_timeout_s,
            max_memory_bytes=worker.max_memory_bytes,
            unload_after_s=worker.unload_after_s,
        )


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
    """Connect to everything the settings name; nothing is loaded or worked on before `start`."""
    servers = endpoints(settings)
    engine = connection.connect(servers.postgres_url)
    if not connection.is_current(engine):
        connection.migrate(servers.postgres_url)
    sessions = connection.sessions(engine)
    stores = _open_stores(settings, servers.milvus_url, engine)
    runtime = Runtime(
        settings,
        engine,
        queue=TaskQueue(servers.redis_url),
        storage=Storage(settings.storage),
        pool=DecodePool(_decoders(settings), Limits(**settings.images.model_dump())),
        models=ModelsInEffect(sessions, choice_of(settings)),
        stores=stores,
        publisher=Publisher(sessions, stores),
        presence=Presence(sessions),
        size=BatchSize(settings.worker.batch_size),
    )
    runtime.drains = _drains(runtime)
    return runtime


def _drains(runtime: Runtime) -> dict[str, list[Drain]]:
    """What empties each queue. A private server that is away is started again by whoever misses it."""

    def drain(name: str, step: Step, slots: int) -> Drain:
        return Drain(name, step, slots, runtime.stopping, heal=partial(endpoints, runtime.settings))

    index = partial(
        IndexStep, runtime.sessions, runtime.presence, lambda: runtime.pipeline, runtime.size, Company()
    )
    prepare = PrepareStep(
        runtime.sessions,
        runtime.presence,
        Decoder(runtime.sessions, runtime.storage, runtime.pool),
        most=IMAGES_PER_DECODER * _decoders(runtime.settings),
        ahead=runtime.settings.worker.prepare_ahead,
        prepared=partial(runtime.tell, INDEX),
    )
    return {
        DECODE: [drain("decode", prepare, PREPARERS)],
        FETCH: [drain("fetch", fetcher(runtime).step, runtime.settings.fetch.slots)],
        INDEX: [drain("index", index(), INDEX_SLOTS), drain("urgent", index(urgent=True), 1)],
        WRITES: [drain("writes", runtime.publisher.step, PUBLISHERS)],
        BACKFILL: [drain("backfill", backfill(runtime).step, SLOTS)],
    }


def _open_stores(settings: Settings, url: str, engine: Engine) -> EmbeddingStores:
    token = settings.milvus_token.get_secret_value() if settings.milvus_token else None
    return EmbeddingStores(url, token=token, write_lock=connection.milvus_write_lock(engine))


def _decoders(settings: Settings) -> int:
    return settings.worker.decoders or min(os.cpu_count() or 1, MAX_DECODERS)
