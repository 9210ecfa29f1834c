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
from indexer.catalog import connection
from indexer.decoding import DecodePool
from indexer.embeddings import EmbeddingStore
from indexer.embeddings.connection import MilvusConnection
from indexer.errors import ModelMissing, ServiceUnavailable, SightlineError
from indexer.images import Limits
from indexer.local_stack import Endpoints, endpoints
from indexer.postings import Postings
from indexer.reindexing.in_effect import choice_of
from indexer.removal import Remover
from indexer.search import Searcher
from indexer.settings import Settings
from indexer.storage import Storage
from indexer.task_queue import TaskQueue
from search_api.condition import Condition, checks
from search_api.heat_maps import HeatMaps
from search_api.meaning import SemanticsInEffect, TaggerInEffect

logger = logging.getLogger(__name__)
DECODERS = 2
MILVUS_ANSWERS_S = 3.0  # when it is asked whether it is there
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
    milvus: Part[MilvusConnection]
    pool: DecodePool
    semantics: SemanticsInEffect
    searcher: Part[Searcher]
    heat_maps: HeatMaps
    condition: Condition
    reconnecting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sessions(self) -> sessionmaker[Session]:
        """Makes sessions on the catalogue. Raises ServiceUnavailable while there is no Postgres."""
        return connection.sessions(self.engine.get())

    @property
    def queue(self) -> TaskQueue:
        """Sends tasks to the workers. Raises ServiceUnavailable while there is no Redis."""
        return self.queues.get()

    @property
    def remover(self) -> Remover:
        """Takes images out of the library. Raises ServiceUnavailable while there is no Postgres."""
        return Remover(self.sessions, self.storage)

    def start(self) -> None:
        """Make every part now. What is away or missing is left for later; a wrong setting is raised."""
        for part in (self.servers, self.engine, self.semantics, self.searcher):
            try:
                part.get()
            except (ServiceUnavailable, OperationalError, ModelMissing) as error:
                logger.warning("starting without it: %s", error)
        self.semantics.watch()
        self.condition.watch(self.reconnect)

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
        self.condition.close()
        self.pool.close()
        self.searcher.take()
        self.semantics.close()
        if (milvus := self.milvus.take()) is not None:
            milvus.close()
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
    milvus = Part(
        lambda: MilvusConnection(servers.get().milvus_url, _milvus_token(settings), MILVUS_ANSWERS_S)
    )
    storage, pool = Storage(settings.storage), DecodePool(DECODERS, limits)
    choice = choice_of(settings)
    semantics = SemanticsInEffect(
        lambda: connection.sessions(engine.get()),
        lambda embedder: _open_store(settings, servers.get().milvus_url, engine.get(), embedder),
        choice,
        settings.search.memory_bytes,
    )
    searcher = Part(lambda: _searcher(connection.sessions(engine.get()), semantics))
    tagger = TaggerInEffect(lambda: connection.sessions(engine.get()), choice)
    heat_maps = HeatMaps(tagger.get, storage, pool)
    return Services(
        settings,
        limits,
        storage,
        servers,
        queues,
        engine,
        milvus,
        pool,
        semantics,
        searcher,
        heat_maps,
        Condition(checks(queues.get, milvus.get, lambda: connection.sessions(engine.get()))),
    )


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
        token=_milvus_token(settings),
        dimension=embedder.dimension,
        model=embedder.identity,
        write_lock=connection.milvus_write_lock(engine),
    )


def _milvus_token(settings: Settings) -> str | None:
    return settings.milvus_token.get_secret_value() if settings.milvus_token else None


def _searcher(sessions: sessionmaker[Session], semantics: SemanticsInEffect) -> Searcher:
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
