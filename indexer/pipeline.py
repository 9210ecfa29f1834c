"""From registered images to searchable ones.

Decoding runs ahead in child processes while the models work; a batch is saved in one transaction, which
is not open while models work, and goes to Milvus after the commit. Every step can run twice.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, images, jobs
from indexer.decoding import DecodePool, Source
from indexer.embeddings import EmbeddingStore
from indexer.errors import ImageError, ImageUnreadable
from indexer.images import DecodedImage, InputSpec
from indexer.stage_clock import StageClock
from indexer.storage import Storage
from indexer.tables import ANNOTATED

if TYPE_CHECKING:
    from indexer.predictors import Captioner, Embedder, Tagger

logger = logging.getLogger(__name__)

STAGES = ("read", "decode", "wait", "backbone", "tag", "caption", "embed", "write")


@dataclass(frozen=True)
class Models:
    """The three networks that look at an image."""

    tagger: "Tagger"
    captioner: "Captioner"
    embedder: "Embedder"

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """Every way of preparing pixels that one of them wants, each once."""
        return tuple(dict.fromkeys((self.tagger.input, self.captioner.input, self.embedder.input)))

    def stack(self, images: Sequence[DecodedImage]) -> dict[InputSpec, np.ndarray]:
        """Decoded images as one batch (B, S, S, 3) uint8 for each way of preparing them.

        Models that want the same get the very same array, by which they recognise shared work.
        """
        return {spec: np.stack([image.inputs[i] for image in images]) for i, spec in enumerate(self.inputs)}


Decoded = tuple[images.WorkItem, DecodedImage]


@dataclass
class Pipeline:
    """One worker process's road from ids to searchable images. Safe to use from several threads.

    `models_at_once` batches are looked at side by side: one, unless the models leave cores idle.
    """

    sessions: sessionmaker[Session]
    storage: Storage
    store: EmbeddingStore
    pool: DecodePool
    models: Models
    annotators: annotations.Annotators
    batch_size: int = 16
    models_at_once: int = 1
    _models_turn: threading.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._models_turn = threading.Semaphore(self.models_at_once)

    def index(self, image_ids: Sequence[int], job_id: int | None = None) -> None:
        """Bring images to `indexed` or `failed`; those already there are passed over.

        Raises:
            ServiceUnavailable: a store does not answer; images not finished stay where they are on the
                road, and running again goes on from there.
        """
        clock = StageClock()
        with self.sessions() as session:
            items = images.work_items(session, image_ids)
        ready = [item.image_id for item in items if item.state == ANNOTATED]
        if ready:
            self._publish(ready, clock, job_id)
        pending = [item for item in items if item.state != ANNOTATED]
        batches = _batches(self._decode(pending, clock), self.batch_size)
        while True:
            with clock.stage("wait"):
                batch = next(batches, None)
            if batch is None:
                break
            self._annotate(batch, clock, job_id)
        with clock.stage("write"):
            self.store.flush()
        with self.sessions.begin() as session:
            self._add_seconds(session, clock, job_id)

    def _decode(self, items: Sequence[images.WorkItem], clock: StageClock) -> Iterator[Decoded]:
        """Images as their decoding completes; what cannot be decoded is recorded with its reason."""
        sources = [(item, self._source(item)) for item in items]
        for item, outcome in self.pool.decode_all(sources, self.models.inputs):
            if isinstance(outcome, ImageError):
                self._fail(item, outcome)
            elif outcome.content_hash != item.content_hash:
                self._fail(item, ImageUnreadable("The file changed after it was registered; index it again."))
            else:
                clock.seconds["read"] += outcome.read_s
                clock.seconds["decode"] += outcome.decode_s
                yield item, outcome

    def _source(self, item: images.WorkItem) -> Source:
        """The first place that should still have the bytes."""
        paths = [local_path(uri) for kind, uri in item.sources if kind == "path"]
        for path in paths:
            if path.is_file():
                return path
        if paths and not any(kind == "upload" for kind, _ in item.sources):
            return paths[0]
        return self.storage.source(item.content_hash)

    def _fail(self, item: images.WorkItem, error: ImageError) -> None:
        logger.info("image %d refused: %s: %s", item.image_id, error.code, error)
        with self.sessions.begin() as session:
            images.fail(session, item.image_id, error.code, str(error))

    def _annotate(self, batch: Sequence[Decoded], clock: StageClock, job_id: int | None) -> None:
        found = self._look(batch, clock)
        with clock.stage("write"):
            for item, decoded in batch:
                self.storage.put_thumbnail(item.content_hash, decoded.thumbnail)
            with self.sessions.begin() as session:
                saved = annotations.save(session, found, self.annotators)
        self._publish(sorted(saved), clock, job_id)

    def _look(self, batch: Sequence[Decoded], clock: StageClock) -> list[annotations.Annotation]:
        """Run the models over one batch; threads take turns, since they share the device."""
        tagger, captioner, embedder = self.models.tagger, self.models.captioner, self.models.embedder
        pixels = self.models.stack([decoded for _, decoded in batch])
        with self._models_turn, clock.running():
            tags = tagger.tag(pixels[tagger.input])
            guides = [[tag.tag for tag in row] for row in tags]
            captions = captioner.caption(pixels[captioner.input], guides)
            image_rows = annotations.pack(embedder.embed_images(pixels[embedder.input]))
            caption_rows = annotations.pack(embedder.embed_texts(captions))
        return [
            _annotation(
                item.image_id,
                decoded,
                [(t.tag, t.confidence) for t in tags[i]],
                captions[i],
                image_rows[i],
                caption_rows[i],
            )
            for i, (item, decoded) in enumerate(batch)
        ]

    def _publish(self, image_ids: Sequence[int], clock: StageClock, job_id: int | None) -> None:
        """Copy committed embeddings to Milvus, then say so."""
        with clock.stage("write"):
            with self.sessions() as session:
                stored = annotations.embeddings(session, image_ids, self.annotators.embedder)
            upsert(self.store, stored)
        with self.sessions.begin() as session:
            self._add_seconds(
                session, clock, job_id
            )  # with the images: who waits for them sees their seconds
            images.mark_indexed(session, image_ids)

    def _add_seconds(self, session: Session, clock: StageClock, job_id: int | None) -> None:
        if job_id is not None:
            jobs.add_stage_seconds(session, job_id, clock.take())

    def delete(self, image_ids: Sequence[int]) -> None:
        """Remove images from Milvus, Postgres and the store, in an order that can be resumed."""
        self.store.delete_images(image_ids)
        with self.sessions.begin() as session:
            hashes = images.remove(session, image_ids)
        for content_hash in hashes:
            self.storage.delete(content_hash)


def upsert(store: EmbeddingStore, stored: annotations.StoredEmbeddings) -> None:
    """Put embeddings read from Postgres into Milvus."""
    if stored.images:
        rows = np.stack([annotations.unpack(value) for value in stored.images.values()])
        store.upsert_images(list(stored.images), unit(rows))
    if stored.captions:
        owners, packed = zip(*stored.captions.values(), strict=True)
        rows = np.stack([annotations.unpack(value) for value in packed])
        store.upsert_captions(list(stored.captions), owners, unit(rows))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows (N, D) scaled to length 1: float16 storage left them a little off."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def local_path(uri: str) -> Path:
    """The path a `file://` address names; bytes that are not UTF-8 survive the round trip."""
    return Path(unquote(urlparse(uri).path, errors="surrogateescape"))


def _annotation(
    image_id: int,
    decoded: DecodedImage,
    tags: Sequence[tuple[str, float]],
    caption: str,
    image_embedding: bytes,
    caption_embedding: bytes,
) -> annotations.Annotation:
    facts = decoded.metadata
    taken_at = facts.taken_at.replace(tzinfo=None) if facts.taken_at else None
    return annotations.Annotation(
        image_id=image_id,
        format=decoded.format,
        width=decoded.width,
        height=decoded.height,
        tags=tags,
        caption=caption,
        image_embedding=image_embedding,
        caption_embedding=caption_embedding,
        taken_at=taken_at,
        title=facts.title,
        description=facts.description,
        place=facts.place,
        latitude=facts.latitude,
        longitude=facts.longitude,
        keywords=facts.keywords,
    )


def _batches(values: Iterable[Decoded], size: int) -> Iterator[list[Decoded]]:
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch
