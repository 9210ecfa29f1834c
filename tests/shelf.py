"""A catalogue whose embeddings go to Milvus, what is done to it, and what Milvus should hold then."""

import uuid
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, corrections, images, outbox
from indexer.embeddings import Rows
from indexer.embeddings.stores import EmbeddingStores
from indexer.publishing import Publisher, rows_of
from indexer.tables import Caption, CaptionEmbedding, EmbeddingChange, ImageEmbedding
from tests import catalogue

Vectors = dict[int, tuple[float, ...]]


@dataclass
class Shelf:
    """A catalogue whose embedders' collections are its own, and a publisher."""

    sessions: sessionmaker[Session]
    stores: EmbeddingStores
    by: annotations.Annotators
    publisher: Publisher

    def add(self, count: int = 1) -> list[int]:
        """Images looked at by the models, not yet published."""
        with self.sessions.begin() as session:
            files = [catalogue.new_file(uuid.uuid4().hex) for _ in range(count)]
            ids = [row.image_id for row in images.register(session, files)]
            annotations.save(session, [catalogue.annotation(i) for i in ids], self.by)
        return ids

    def embed_again(self, image_id: int, seed: int) -> None:
        """The models say something else of an image."""
        packed = annotations.pack(
            np.stack([catalogue.embedding(seed), catalogue.embedding(-seed - 1 + 10**6)])
        )
        said = catalogue.annotation(image_id, image_embedding=packed[0], caption_embedding=packed[1])
        with self.sessions.begin() as session:
            annotations.save(session, [said], self.by)

    def write_caption(self, image_id: int, seed: int) -> None:
        """A person writes a caption, or another one."""
        with self.sessions.begin() as session:
            if images.lock(session, [image_id]):
                corrections.write_caption(
                    session, image_id, f"caption {seed}", self.by.embedder, catalogue.embedding(seed)
                )

    def drop_captions(self, image_id: int) -> None:
        """Every caption of an image goes."""
        with self.sessions.begin() as session:
            for caption in session.scalars(select(Caption).where(Caption.image_id == image_id)):
                session.delete(caption)

    def embed_by(self, image_id: int, embedder_id: int, seed: int) -> None:
        """Another embedder says something of an image."""
        packed = annotations.pack(catalogue.embedding(seed)[None])[0]
        with self.sessions.begin() as session:
            if images.lock(session, [image_id]):
                session.merge(ImageEmbedding(image_id=image_id, annotator_id=embedder_id, embedding=packed))

    def remove(self, image_id: int) -> None:
        """The image is deleted."""
        with self.sessions.begin() as session:
            images.remove(session, [image_id])

    def another_embedder(self) -> int:
        """A second embedder; its id."""
        with self.sessions.begin() as session:
            return annotations.annotator_id(session, "embedder", "other", uuid.uuid4().hex[:12])

    def states(self) -> set[str]:
        """The states images are in."""
        with self.sessions() as session:
            return {state for state, count in images.count_by_state(session).items() if count}

    def waiting(self) -> int:
        """Changes still in the outbox."""
        with self.sessions() as session:
            return session.scalar(select(func.count()).select_from(EmbeddingChange)) or 0

    def held(self, embedder_id: int) -> tuple[Vectors, Vectors]:
        """What Milvus has of an embedder: images by id, captions by id."""
        with self.sessions() as session:
            embedder = outbox.embedders(session, [embedder_id])[embedder_id]
        store = self.stores.existing(embedder)
        return as_plain(store.between(0, 2**62)) if store else ({}, {})

    def expected(self, embedder_id: int) -> tuple[Vectors, Vectors]:
        """What Postgres says Milvus should have."""
        with self.sessions() as session:
            ids = set(session.scalars(select(ImageEmbedding.image_id)))
            owners = select(Caption.image_id).join(
                CaptionEmbedding, CaptionEmbedding.caption_id == Caption.id
            )
            ids |= set(session.scalars(owners))
            stored = annotations.embeddings(session, sorted(ids), embedder_id)
        return as_plain(rows_of(stored, catalogue.DIMENSION))


def as_plain(rows: Rows) -> tuple[Vectors, Vectors]:
    """Vectors by id, to be compared bit by bit."""
    images = {int(i): tuple(v.tolist()) for i, v in zip(rows.image_ids, rows.images, strict=True)}
    captions = {int(i): tuple(v.tolist()) for i, v in zip(rows.caption_ids, rows.captions, strict=True)}
    return images, captions


def open_shelf(
    sessions: sessionmaker[Session], milvus_url: str, version: str = "", chunk: int = 500
) -> Shelf:
    """A catalogue with an embedder of its own."""
    stores = EmbeddingStores(milvus_url, timeout_s=3.0)
    with sessions.begin() as session:
        by = catalogue.annotators(session)
        embedder = annotations.annotator_id(session, "embedder", "test", version or uuid.uuid4().hex[:12])
    return Shelf(sessions, stores, replace(by, embedder=embedder), Publisher(sessions, stores, chunk))
