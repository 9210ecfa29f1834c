"""A library whose every embedding is known, in a real Postgres and a real Milvus Lite, and the truth by numpy."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pytest
from pyroaring import BitMap
from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session, sessionmaker

from indexer import local_stack
from indexer.catalog import annotations, connection
from indexer.catalog.stored_embeddings import unit
from indexer.embeddings import MAX_LIMIT, Channel, EmbeddingStore
from indexer.nearest import Found, Key, Target
from indexer.predictors import ModelIdentity
from indexer.publishing import rows_of
from indexer.tables import INDEXED, Annotator, Caption, CaptionEmbedding, Image, ImageEmbedding
from tests.conftest import own_database
from tests.indexer.embeddings.known_rows import comes_to_hold

DIMENSION = 16
IMAGES = 400
DECIMALS = 6


@dataclass
class Library:
    """What is stored: by image id its embedding, if it has one, and its captions' embeddings, as unit rows."""

    sessions: sessionmaker[Session]
    store: EmbeddingStore
    embedder_id: int
    writers: list[int]
    images: dict[int, np.ndarray] = field(default_factory=dict)
    captions: dict[int, list[np.ndarray]] = field(default_factory=dict)

    @property
    def ids(self) -> BitMap:
        """Every image there is, embedded or not."""
        return BitMap(self.images.keys() | self.captions.keys())

    def add(self, rng: np.random.Generator, captions: int, *, embedded: bool = True) -> int:
        """An image with so many captions, in both stores; its id."""
        packed = annotations.pack(rng.normal(size=(1 + captions, DIMENSION)))
        with self.sessions.begin() as session:
            image_id = session.scalar(
                insert(Image).values(content_hash=rng.bytes(32), bytes=1, state=INDEXED).returning(Image.id)
            )
            assert image_id is not None
            who = self.embedder_id
            if embedded:
                row = {"image_id": image_id, "annotator_id": who, "embedding": packed[0]}
                session.execute(insert(ImageEmbedding).values(row))
            for writer, embedding in zip(self.writers, packed[1:], strict=False):
                caption = {"image_id": image_id, "annotator_id": writer, "text": "a caption"}
                caption_id = session.scalar(insert(Caption).values(caption).returning(Caption.id))
                row = {"caption_id": caption_id, "annotator_id": who, "embedding": embedding}
                session.execute(insert(CaptionEmbedding).values(row))
        if embedded:
            self.images[image_id] = stored_row(packed[0])
        self.captions[image_id] = [stored_row(value) for value in packed[1:]]
        return image_id

    def fill_milvus(self) -> None:
        """Bring Milvus up to Postgres, until searches show it."""
        with self.sessions() as session:
            stored = annotations.embeddings(session, list(self.ids), self.embedder_id)
        rows = rows_of(stored, DIMENSION)
        self.store.replace(rows, only=list(self.ids))
        self.store.flush()
        assert comes_to_hold(lambda: self._shown() == (len(rows.image_ids), len(rows.caption_ids)))

    def _shown(self) -> tuple[int, int]:
        """How many images and captions searches find."""
        channels: tuple[Channel, Channel] = ("images", "captions")
        images, captions = (len(self.store.nearest(c, direction(1), MAX_LIMIT)[0]) for c in channels)
        return images, captions

    def fused(self, target: Target) -> dict[int, float]:
        """Every image's true score."""
        bonus = dict(zip(target.bonus_ids.tolist(), target.bonus.tolist(), strict=True))
        return {i: round(self._cosines(target, i) + bonus.get(i, 0.0), DECIMALS) for i in self.ids}

    def _cosines(self, target: Target, image_id: int) -> float:
        rows = {"image": [self.images[image_id]] if image_id in self.images else []}
        rows["caption"] = self.captions.get(image_id, [])
        total = 0.0
        for channel, vector in target.vectors.items():
            best = max(
                (float(row.astype(float) @ vector) for row in rows[channel]),
                default=target.missing.get(channel, 0.0),
            )
            total += target.weights[channel] * best
        return total


def ranked(
    truth: dict[int, float], allowed: BitMap, after: Key | None, limit: int
) -> list[tuple[int, float]]:
    """The page a reader expects."""
    rows = sorted(((i, truth[i]) for i in allowed), key=lambda row: (-row[1], row[0]))
    if after is not None:
        rows = [(i, f) for i, f in rows if f < after[0] or (f == after[0] and i > after[1])]
    return rows[:limit]


def same_page(found: Found, expected: list[tuple[int, float]]) -> bool:
    """Whether a page is as expected: scores to rounding, ids wherever scores tell images apart."""
    ids, fused = [i for i, _ in expected], [f for _, f in expected]
    return found.ids.tolist() == ids and np.allclose(found.fused, fused, atol=2e-6)


def direction(seed: int) -> np.ndarray:
    """A unit vector (DIMENSION,) float32."""
    row = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
    return row / np.linalg.norm(row)


def open_library(engine: Engine, milvus_url: str, index: Literal["FLAT", "HNSW"] = "FLAT") -> Library:
    """An empty library, exact by itself in whichever Milvus: plans are compared with scoring everything."""
    version = uuid.uuid4().hex[:12]
    identity = ModelIdentity("embedder", "test", version)
    store = EmbeddingStore(milvus_url, dimension=DIMENSION, model=identity, index=index)
    store.ensure()
    sessions = connection.sessions(engine)
    with sessions.begin() as session:
        kinds = [("embedder", version), *(("captioner", f"{n}") for n in range(3))]
        rows = [{"kind": kind, "name": "test", "version": version} for kind, version in kinds]
        ids = list(session.scalars(insert(Annotator).values(rows).returning(Annotator.id)))
    return Library(sessions, store, ids[0], ids[1:])


@pytest.fixture(scope="module")
def filled(stack: local_stack.Endpoints, module_engine: Engine) -> Iterator[Library]:
    """400 images: most with one caption, some with none, some with three, a few without an embedding or anything."""
    library = open_library(module_engine, stack.milvus_url)
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        library.add(rng, captions=(1, 1, 0, 3)[number % 4], embedded=number % 50 != 7)
    library.fill_milvus()
    yield library
    library.store.close()


@pytest.fixture
def small(stack: local_stack.Endpoints, engine: Engine) -> Iterator[Library]:
    """Thirty images of the test's own, to change at will."""
    library = open_library(engine, stack.milvus_url)
    rng = np.random.default_rng(1)
    for _ in range(30):
        library.add(rng, captions=1)
    library.fill_milvus()
    yield library
    library.store.close()


def stored_row(packed: bytes) -> np.ndarray:
    """What an embedding as kept stands for, (DIMENSION,) float32."""
    return unit(np.frombuffer(packed, "<f2")[None])[0]


@pytest.fixture(scope="module")
def module_engine(stack: local_stack.Endpoints, migrated_template: str) -> Iterator[Engine]:
    """A catalogue for all tests of a module."""
    with own_database(stack.postgres_url, migrated_template) as url:
        engine = connection.connect(url)
        yield engine
        engine.dispose()
