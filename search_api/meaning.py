"""What ranking by meaning takes, of the embedder in effect; changed whole when another one is put in effect.

Embedder, embeddings and background belong together: a search takes them once, and what it took is not changed under
its hands. The next ones are made ready aside, while the ones before go on answering.
"""

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import models
from indexer.catalog.models import ModelRow
from indexer.embeddings import EmbeddingStore
from indexer.errors import ServiceUnavailable, SightlineError
from indexer.nearest import Nearest
from indexer.predictors import Embedder, Tagger
from indexer.reindexing import in_effect
from indexer.reindexing.in_effect import Choice
from indexer.search import Semantics
from indexer.search.background import Background

logger = logging.getLogger(__name__)
LOOK_S = 1.0  # how often it is asked which embedder is in effect


class SemanticsInEffect:
    """Made on first use; a failure is not remembered. Safe to share among threads.

    Args:
        sessions: the catalogue; raises ServiceUnavailable while there is none.
        open_store: the embedder's collections in Milvus, not yet asked for anything.
        choice: how models are run here, and which one a new library begins with.
        memory_bytes: embeddings kept in memory while they fit; during a change those of two embedders are.
    """

    def __init__(
        self,
        sessions: Callable[[], sessionmaker[Session]],
        open_store: Callable[[Embedder], EmbeddingStore],
        choice: Choice,
        memory_bytes: int,
    ) -> None:
        self._sessions, self._open_store = sessions, open_store
        self._choice, self._memory_bytes = choice, memory_bytes
        self._making, self._looking = threading.Lock(), threading.Lock()
        self._now: Semantics | None = None
        self._stores: list[EmbeddingStore] = []
        self._behind = ""
        self._closing = threading.Event()

    def get(self) -> Semantics:
        """What to search with now.

        Raises:
            ServiceUnavailable, OperationalError: Postgres does not answer.
            ModelMissing: the embedder in effect is not on this machine; the message says what to do.
            UnknownModel, ConfigurationError, CheckpointError: a new library's embedder cannot be used.
        """
        if self._now is None:
            with self._making:
                if self._now is None:
                    sessions = self._sessions()
                    row = in_effect.settle(sessions, self._choice, ["embedder"])["embedder"]
                    self._now, _ = self._made(sessions, row)
        assert self._now is not None
        return self._now

    def check(self) -> None:
        """Raise what keeps one from searching, or from searching with the embedder in effect."""
        self.get()
        if self._behind:
            raise SightlineError(self._behind)

    def watch(self) -> None:
        """From now on, follow the embedder in effect, aside."""
        threading.Thread(target=self._watch, name="embedder in effect", daemon=True).start()

    def look(self) -> None:
        """If another embedder is in effect than the one that answers, make it ready and let it answer.

        Until its embeddings are in memory, if they fit there, the one before answers, which still knows all but what
        came in these seconds. It goes on if the new one is not on this machine; `check` then says so.
        """
        with self._looking:
            if (now := self._now) is None:
                return
            sessions = self._sessions()
            with sessions() as session:
                row = models.in_effect(session)["embedder"]
            if row.annotator_id == now.embedder_id:
                self._behind = ""
                return
            try:
                new, loading = self._made(sessions, row)
            except SightlineError as error:
                self._behind = str(error)
                raise
            loading.join()
            self._now, self._behind = new, ""
            for store in self._stores[:-2]:  # a search under way may still ask the one before
                store.close()
            del self._stores[:-2]
            logger.info("%s (%s) is the embedder in effect now", row.name, row.version)

    def close(self) -> None:
        """Follow no longer; what is asked for again is made again."""
        self._closing.set()
        with self._looking:
            self._now = None
            for store in self._stores:
                store.close()

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_S):
            try:
                self.look()
            except (SightlineError, OperationalError) as error:
                logger.warning("the embedder in effect is not followed: %s", error)

    def _made(self, sessions: sessionmaker[Session], row: ModelRow) -> tuple[Semantics, threading.Thread]:
        """Ready to search, and the thread that reads embeddings into memory."""
        embedder = in_effect.load_embedder(row, self._choice)
        store = self._open_store(embedder)
        self._stores.append(store)
        try:
            store.ensure()
        except ServiceUnavailable as error:  # what is in memory can be searched without it
            logger.warning("searching without Milvus: %s", error)
        nearest = Nearest(store, row.annotator_id, self._memory_bytes)
        loading = nearest.load(sessions)
        return Semantics(embedder, row.annotator_id, nearest, Background(row.annotator_id)), loading


class TaggerInEffect:
    """The tagger in effect, loaded when it is first asked for and again when another one is put in effect."""

    def __init__(self, sessions: Callable[[], sessionmaker[Session]], choice: Choice) -> None:
        self._sessions, self._choice = sessions, choice
        self._lock = threading.Lock()
        self._now: tuple[int, Tagger] | None = None

    def get(self) -> Tagger:
        """The tagger in effect now. Raises as `SemanticsInEffect.get`."""
        with self._lock:
            row = in_effect.settle(self._sessions(), self._choice, ["tagger"])["tagger"]
            if self._now is None or self._now[0] != row.annotator_id:
                self._now = (row.annotator_id, in_effect.load_tagger(row, self._choice))
            return self._now[1]
