"""The bundled models, real photographs and a real pipeline over the test's own catalogue."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from indexer import local_stack
from indexer.batching import BatchSize
from indexer.catalog import annotations, images
from indexer.cli.demo import bundled_photographs
from indexer.decoding import DecodePool
from indexer.embeddings import EmbeddingStore
from indexer.embeddings.stores import EmbeddingStores
from indexer.images import Limits
from indexer.ingest import read_file
from indexer.nearest import Nearest
from indexer.pipeline import Models, Pipeline
from indexer.postings import Postings
from indexer.predictors import load_captioner, load_embedder, load_tagger
from indexer.publishing import Publisher
from indexer.removal import Remover
from indexer.search import Searcher, Semantics
from indexer.search.background import Background
from indexer.storage import Storage
from tests.indexer.shop_tables import Import, importing


@pytest.fixture(scope="session")
def models() -> Models:
    """The three bundled models."""
    return Models(load_tagger("small", "cpu"), load_captioner("small", "cpu"), load_embedder("small", "cpu"))


@pytest.fixture(scope="session")
def pool() -> Iterator[DecodePool]:
    """Two decoding processes for all tests."""
    with DecodePool(2, Limits()) as pool:
        yield pool


@pytest.fixture(scope="session")
def photographs() -> list[Path]:
    """Real photographs of different things."""
    names = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg", "motorcycle_left.png", "china.jpg")
    return [path for path in bundled_photographs() if path.name in names]


@dataclass
class Library:
    """A catalogue, its stores and the pipeline that fills them."""

    sessions: sessionmaker[Session]
    pipeline: Pipeline
    stores: EmbeddingStores
    store: EmbeddingStore
    postings: Postings = field(default_factory=Postings)

    @property
    def publisher(self) -> Publisher:
        """Brings what was committed to Milvus."""
        return Publisher(self.sessions, self.stores)

    @property
    def remover(self) -> Remover:
        """Takes images out again."""
        return Remover(self.sessions, self.pipeline.storage)

    @property
    def searcher(self) -> Searcher:
        """Answers queries over this library."""
        return Searcher(self.sessions, self.postings, lambda: self.semantics)

    @cached_property
    def semantics(self) -> Semantics:
        """What ranking by meaning takes."""
        embedder_id = self.pipeline.annotators.embedder
        nearest = Nearest(self.store, embedder_id, 2**28)
        return Semantics(self.pipeline.models.embedder, embedder_id, nearest, Background(embedder_id))

    def register(self, *paths: Path, job_id: int | None = None) -> list[int]:
        """Register files as the command line does; their image ids."""
        files = [read_file(path, path.as_uri(), 10**9) for path in paths]
        with self.sessions.begin() as session:
            return [row.image_id for row in images.register(session, files, job_id)]

    def index(self, *paths: Path, job_id: int | None = None) -> list[int]:
        """Register files and bring them all the way."""
        image_ids = self.register(*paths, job_id=job_id)
        self.bring(image_ids)
        return image_ids

    def bring(self, image_ids: Sequence[int]) -> None:
        """Look at registered images and publish what was found."""
        self.pipeline.index(image_ids)
        self.publisher.drain()


@pytest.fixture
def library(
    sessions: sessionmaker[Session],
    stack: local_stack.Endpoints,
    models: Models,
    pool: DecodePool,
    tmp_path: Path,
) -> Iterator[Library]:
    """An empty library with collections of its own."""
    identity = replace(models.embedder.identity, version=uuid.uuid4().hex[:12])
    stores = EmbeddingStores(stack.milvus_url)
    store = stores.open(identity, models.embedder.dimension)
    with sessions.begin() as session:
        who = (models.tagger.identity, models.captioner.identity, identity)
        ids = [annotations.annotator_id(session, m.kind, m.name, m.version) for m in who]
        annotations.save_vocabulary(session, ids[0], models.tagger.vocabulary)
        file_id = annotations.annotator_id(session, "file", "metadata")
    annotators = annotations.Annotators(*ids, file=file_id)
    storage = Storage(str(tmp_path / "store"))
    pipeline = Pipeline(sessions, storage, pool, models, annotators, size=BatchSize(4))
    yield Library(sessions, pipeline, stores, store)
    stores.close()


@pytest.fixture
def taken(sessions: sessionmaker[Session]) -> Import:
    """Imports a table under a job of its own."""
    return importing(sessions)
