"""Connections and models one server process holds.

Every part is made on first use and tried again after a failure, so the server answers, and says what
is missing, while a store is away.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from indexer import predictors
from indexer.catalog import annotations, connection
from indexer.decoding import DecodePool
from indexer.embeddings import EmbeddingStore
from indexer.errors import ServiceUnavailable, SightlineError
from indexer.images import Limits
from indexer.local_stack import Endpoints, endpoints
from indexer.nearest import Nearest
from indexer.postings import Postings
from indexer.search import Searcher, Semantics
from indexer.search.background import Background
from indexer.settings import Settings
from indexer.storage import Storage
from indexer.task_queue import TaskQueue
from search_api.heat_maps import HeatMaps

logger = logging.getLogger(__name__)
DECODERS = 2
T = TypeVar("T")


class Part(Generic[T]):
    """A value made on first use; a failure is not remembered."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._value: T | None = None

    def get(self) -> T:
        """The value, made now if need be; raises what making it raises."""
        with self._lock:
            if self._value is None:
                self._value = self._make()
            return self._value

    def take(self) -> T | None:
        """The value if it was made, leaving the part to be made again."""
        with self._lock:
            value, self._value = self._value, None
            return value


@dataclass(frozen=True)
class Services:
    """One server process's belongings."""

    settings: Settings
    limits: Limits
    storage: Storage
    servers: Part[Endpoints]
    queues: Part[TaskQueue]
    engine: Part[Engine]
    embedder: Part[predictors.Embedder]
    store: Part[EmbeddingStore]
    pool: DecodePool
    semantics: Part[Semantics]
    searcher: Part[Searcher]
    heat_maps: HeatMaps
    reconnecting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sessions(self) -> sessionmaker[Session]:
        """Makes sessions on the catalogue. Raises ServiceUnavailable while there is no Postgres."""
        return connection.sessions(self.engine.get())

    @property
    def queue(self) -> TaskQueue:
        """Sends tasks to the workers. Raises ServiceUnavailable while there is no Redis."""
        return self.queues.get()

    def start(self) -> None:
        """Make every part now. A store that is away is left for later; a wrong setting is raised."""
        self.embedder.get()
        for part in (self.servers, self.engine, self.semantics, self.searcher):
            try:
                part.get()
            except (ServiceUnavailable, OperationalError) as error:
                logger.warning("starting without it: %s", error)

    def reconnect(self) -> None:
        """Look for the servers again, aside: a private one that died is started anew meanwhile."""
        if self.reconnecting.acquire(blocking=False):
            threading.Thread(target=self._find_servers, name="reconnect", daemon=True).start()

    def _find_servers(self) -> None:
        try:
            self.servers.take()
            self.servers.get()
        except SightlineError as error:
            logger.warning("still without it: %s", error)
        finally:
            self.reconnecting.release()

    def close(self) -> None:
        """End connections and decoding processes."""
        self.pool.close()
        self.searcher.take()
        self.semantics.take()
        if (store := self.store.take()) is not None:
            store.close()
        if (engine := self.engine.take()) is not None:
            engine.dispose()


def open_services(settings: Settings) -> Services:
    """Everything the endpoints need, not yet connected.

    Raises:
        ConfigurationError: the store of originals and thumbnails cannot be used.
    """
    limits = Limits(**settings.images.model_dump())
    servers = Part(lambda: endpoints(settings))
    queues = Part(lambda: TaskQueue(servers.get().redis_url))
    engine = Part(lambda: _connect(servers.get().postgres_url))
    embedder = Part(lambda: _load_embedder(settings))
    store = Part(lambda: _open_store(settings, servers.get().milvus_url, engine.get(), embedder.get()))
    storage, pool = Storage(settings.storage), DecodePool(DECODERS, limits)
    semantics = Part(lambda: _semantics(settings, engine.get(), embedder.get(), store.get()))
    searcher = Part(lambda: _searcher(connection.sessions(engine.get()), semantics))
    heat_maps = HeatMaps(Part(lambda: _load_tagger(settings)).get, storage, pool)
    return Services(
        settings,
        limits,
        storage,
        servers,
        queues,
        engine,
        embedder,
        store,
        pool,
        semantics,
        searcher,
        heat_maps,
    )


def _load_embedder(settings: Settings) -> predictors.Embedder:
    how = predictors.options(settings.device, settings.models_home, settings.precision)
    return predictors.load_embedder(settings.embedder, **how)


def _load_tagger(settings: Settings) -> predictors.Tagger:
    how = predictors.options(settings.device, settings.models_home, settings.precision)
    return predictors.load_tagger(settings.tagger, **how, own_tags=settings.own_tag_sets)


def _connect(url: str) -> Engine:
    engine = connection.connect(url)
    try:
        if not connection.is_current(engine):
            connection.migrate(url)
    except OperationalError as error:
        engine.dispose()
        raise ServiceUnavailable("postgres", f"Postgres does not answer: {error.orig}") from error
    return engine


def _open_store(
    settings: Settings, url: str, engine: Engine, embedder: predictors.Embedder
) -> EmbeddingStore:
    return EmbeddingStore(
        url,
        token=settings.milvus_token.get_secret_value() if settings.milvus_token else None,
        dimension=embedder.dimension,
        model=embedder.identity,
        write_lock=connection.milvus_write_lock(engine),
    )


def _semantics(
    settings: Settings, engine: Engine, embedder: predictors.Embedder, store: EmbeddingStore
) -> Semantics:
    try:
        store.ensure()
    except ServiceUnavailable as error:  # what is in memory can be searched without it
        logger.warning("searching without Milvus: %s", error)
    identity, sessions = embedder.identity, connection.sessions(engine)
    with sessions.begin() as session:
        embedder_id = annotations.annotator_id(session, identity.kind, identity.name, identity.version)
    nearest = Nearest(store, embedder_id, settings.search.memory_bytes)
    nearest.load(sessions)
    return Semantics(embedder, embedder_id, nearest, Background(embedder_id))


def _searcher(sessions: sessionmaker[Session], semantics: Part[Semantics]) -> Searcher:
    """Answers at once; what facets and completion need is read aside, so that nobody waits for it later."""
    postings = Postings()

    def load() -> None:
        try:
            with sessions() as session:
                postings.load(session)
        except OperationalError as error:
            logger.warning("facets are read when first asked for: %s", error)

    threading.Thread(target=load, name="load postings", daemon=True).start()
    return Searcher(sessions, postings, semantics.get)


def reason(error: Exception) -> str:
    """What to tell of a failure: our own words, or its kind only."""
    return str(error) if isinstance(error, SightlineError) else type(error).__name__
