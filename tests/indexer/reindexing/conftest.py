"""A library of a few photographs with its models in effect, second models to change to, and what fills by them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from indexer import local_stack
from indexer.catalog import connection, images, models, reindexes
from indexer.catalog.reindexes import Change
from indexer.decoding import DecodePool
from indexer.embeddings.stores import EmbeddingStores
from indexer.ingest import read_file
from indexer.nearest import Nearest
from indexer.pipeline import Pipeline
from indexer.postings import Postings
from indexer.published import Kind
from indexer.publishing import Publisher
from indexer.reindexing import in_effect
from indexer.reindexing.backfill import Backfill
from indexer.reindexing.in_effect import Choice
from indexer.reindexing.pixels import PixelReader
from indexer.search import Searcher, Semantics
from indexer.search.background import Background
from indexer.storage import Storage
from tests.other_models import NAME, install_other
from workers.models import ModelsInEffect

SMALL: dict[Kind, str] = {"tagger": "small", "captioner": "small", "embedder": "small"}


@pytest.fixture(scope="session")
def models_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a second tagger, captioner and embedder."""
    return install_other(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def choice(models_home: Path) -> Choice:
    """The bundled models for a new library; the others are installed here too."""
    return Choice(SMALL, "cpu", "exact", models_home)


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

    def fill(self) -> Change:
        """Let workers fill until they have nothing more to do; the change as it is then."""
        while self.backfill.step() or self.publisher.step():
            pass
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


@pytest.fixture
def library(
    engine: Engine,
    sessions: sessionmaker[Session],
    stack: local_stack.Endpoints,
    pool: DecodePool,
    choice: Choice,
    tmp_path: Path,
) -> Iterator[Changing]:
    """An empty library whose models in effect are the bundled ones."""
    models_in_effect = ModelsInEffect(sessions, choice)
    loaded = models_in_effect.get()
    stores = EmbeddingStores(stack.milvus_url, write_lock=connection.milvus_write_lock(engine))
    storage = Storage(str(tmp_path / "store"))
    road = Pipeline(sessions, storage, pool, loaded.models, loaded.annotators)
    backfill = Backfill(
        engine,
        sessions,
        PixelReader(storage, pool),
        choice,
        lambda: (models_in_effect.get().annotators.embedder, models_in_effect.get().models.embedder),
        stores,
        settles_s=0.0,
    )
    publisher = Publisher(sessions, stores)
    yield Changing(engine, sessions, choice, models_in_effect, road, stores, publisher, backfill)
    stores.close()
