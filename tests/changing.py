"""A library between two models, with all that fills, publishes and searches it."""

from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import connection, images, models, reindexes
from indexer.catalog.reindexes import Change
from indexer.decoding import DecodePool
from indexer.embeddings.stores import EmbeddingStores
from indexer.ingest import read_file
from indexer.nearest import Nearest
from indexer.pipeline import Pipeline
from indexer.postings import Postings
from indexer.predictors import Embedder
from indexer.published import Kind
from indexer.publishing import Publisher
from indexer.reindexing import in_effect
from indexer.reindexing.backfill import Backfill
from indexer.reindexing.in_effect import Choice
from indexer.reindexing.pixels import PixelReader
from indexer.search import Searcher, Semantics
from indexer.search.background import Background
from indexer.storage import Storage
from tests.other_models import NAME
from workers.models import ModelsInEffect

SMALL: dict[Kind, str] = {"tagger": "small", "captioner": "small", "embedder": "small"}


@dataclass
class Changing:
    """A library between two models."""

    engine: Engine
    sessions: sessionmaker[Session]
    choice: Choice
    in_effect: ModelsInEffect
    road: Pipeline
    stores: EmbeddingStores
    publisher: Publisher
    backfill: Backfill
    folder: str

    def register(self, *paths: Path) -> list[int]:
        """Register files as the command line does; their image ids."""
        files = [read_file(path, path.as_uri(), 10**9) for path in paths]
        with self.sessions.begin() as session:
            return [row.image_id for row in images.register(session, files)]

    def index(self, *paths: Path) -> list[int]:
        """Register files, look at them with the models in effect, and publish; their image ids."""
        image_ids = self.register(*paths)
        self.in_effect.look_again()
        loaded = self.in_effect.get()
        replace(self.road, models=loaded.models, annotators=loaded.annotators).index(image_ids)
        self.publisher.drain()
        return image_ids

    def begin(self, kind: Kind, name: str = NAME) -> Change:
        """Begin to change to a model."""
        with self.sessions.begin() as session:
            return in_effect.begin(session, self.choice, kind, name)

    def work(self) -> None:
        """Do what workers do until there is nothing more to do."""
        while self.backfill.step() or self.publisher.step():
            pass

    def fill(self) -> Change:
        """Let workers fill until they have nothing more to do; the change as it is then."""
        self.work()
        return self.change()

    def change(self) -> Change:
        """The change begun last."""
        with self.sessions() as session:
            found = reindexes.latest(session)
        assert found is not None
        return found

    def row(self, kind: Kind) -> models.ModelRow:
        """The model in effect."""
        with self.sessions() as session:
            return models.in_effect(session)[kind]

    def searcher(self) -> Searcher:
        """Searches by the embedder in effect now."""
        row = self.row("embedder")
        embedder = in_effect.load_embedder(row, self.choice)
        store = self.stores.open(embedder.identity, embedder.dimension)
        nearest = Nearest(store, row.annotator_id, 0)
        semantics = Semantics(embedder, row.annotator_id, nearest, Background(row.annotator_id))
        return Searcher(self.sessions, Postings(), lambda: semantics)


def open_library(engine: Engine, milvus_url: str, pool: DecodePool, choice: Choice, folder: str) -> Changing:
    """A library whose models in effect are those of the choice; originals and thumbnails lie in `folder`."""
    sessions = connection.sessions(engine)
    loading = ModelsInEffect(sessions, choice)
    loaded = loading.get()
    stores = EmbeddingStores(milvus_url, write_lock=connection.milvus_write_lock(engine))
    storage = Storage(folder)

    def embedder() -> tuple[int, Embedder]:
        now = loading.get()
        return now.annotators.embedder, now.models.embedder

    pixels = PixelReader(storage, pool)
    return Changing(
        engine,
        sessions,
        choice,
        loading,
        Pipeline(sessions, storage, pool, loaded.models, loaded.annotators),
        stores,
        Publisher(sessions, stores),
        Backfill(engine, sessions, pixels, choice, embedder, stores, settles_s=0.0),
        folder,
    )
