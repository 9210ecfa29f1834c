"""From registered images to searchable ones.

Decoding runs ahead in child processes while the models work; a batch is saved in one transaction, which
is not open while models work; what has to go to Milvus is in the outbox then (`publishing`). Every step can run twice.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from indexer import metrics
from indexer.batching import BatchSize, ModelsTurn
from indexer.catalog import annotations, filling, images, jobs, statements, work
from indexer.decoder import Decoded, Decoder
from indexer.decoding import DecodePool
from indexer.errors import ClaimLost, ModelsBroken
from indexer.images import DecodedImage, InputSpec
from indexer.published import Kind
from indexer.stage_clock import StageClock
from indexer.storage import Storage
from indexer.tables import PENDING

if TYPE_CHECKING:
    from indexer.predictors import Captioner, Embedder, Tagger

logger = logging.getLogger(__name__)

# What an image was given up for, after attempts further and further apart.
MODELS_FAILED, OUT_OF_MEMORY = "models_failed", "out_of_memory"
STAGES = ("read", "decode", "wait", "backbone", "tag", "caption", "embed", "write")


@dataclass(frozen=True)
class Models:
    """The three networks that look at an image."""

    tagger: "Tagger"
    captioner: "Captioner"
    embedder: "Embedder"

    @property
    def input_of(self) -> dict[Kind, InputSpec]:
        """How each of them wants its pixels."""
        return {
            "tagger": self.tagger.input,
            "captioner": self.captioner.input,
            "embedder": self.embedder.input,
        }

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """Every way of preparing pixels that one of them wants, each once."""
        return tuple(dict.fromkeys(self.input_of.values()))

    def stack(self, images: Sequence[DecodedImage]) -> dict[InputSpec, np.ndarray]:
        """Decoded images as one batch (B, S, S, 3) uint8 for each way of preparing them.

        Models that want the same get the very same array, by which they recognise shared work.
        """
        return {spec: np.stack([image.inputs[i] for image in images]) for i, spec in enumerate(self.inputs)}

    def look(self, pixels: Mapping[InputSpec, np.ndarray]) -> "Sight":
        """Tags, captions and embeddings of a batch; `pixels` as made by `stack`."""
        tags = self.tagger.tag(pixels[self.tagger.input])
        guides = [[tag.tag for tag in row] for row in tags]
        captions = self.captioner.caption(pixels[self.captioner.input], guides)
        embedded = annotations.pack(self.embedder.embed_images(pixels[self.embedder.input]))
        return Sight(
            [[(tag.tag, tag.confidence) for tag in row] for row in tags],
            captions,
            embedded,
            annotations.pack(self.embedder.embed_texts(captions)),
        )

    def warm_up(self) -> None:
        """Look at one grey image: what is slow the first time is done; whatever the models raise is raised."""
        self.look({spec: np.full((1, spec.size, spec.size, 3), 127, np.uint8) for spec in self.inputs})


@dataclass(frozen=True)
class Sight:
    """What the models say of a batch, a row an image: tags as (name, confidence), embeddings as float16 bytes."""

    tags: list[list[tuple[str, float]]]
    captions: list[str]
    image_embeddings: list[bytes]
    caption_embeddings: list[bytes]


@dataclass(frozen=True)
class Pipeline:
    """The road from ids to searchable images with one set of models. Safe to use from several threads.

    `saved` is called after each commit: the outbox has something for Milvus.
    """

    sessions: sessionmaker[Session]
    storage: Storage
    pool: DecodePool
    models: Models
    annotators: annotations.Annotators
    saved: Callable[[], object] = lambda: None
    size: BatchSize = field(default_factory=lambda: BatchSize(16))
    turn: ModelsTurn = field(default_factory=ModelsTurn)

    @property
    def decoder(self) -> Decoder:
        """What brings the pixels."""
        return Decoder(self.sessions, self.storage, self.pool)

    def index(self, image_ids: Sequence[int], worker_id: int | None = None, urgent: bool = False) -> None:
        """Look at those of the images this worker has claimed (with no worker: those nobody has).

        Args:
            image_ids: batches are cut from them.
            worker_id: who claimed them.
            urgent: somebody waits, so these go before other batches.

        Raises:
            ServiceUnavailable, OperationalError: a store does not answer; what is not finished stays as it was.
            ModelsChanged, ClaimLost: what was found is not wanted any more; nothing of it was saved.
            ModelsBroken: the models fail on every image.
        """
        clock = StageClock()
        with self.sessions.begin() as session:
            items = work.items(session, image_ids, worker_id)
            seen = [item.image_id for item in items if item.state != PENDING]
        self._embed_captions([item.image_id for item in items], urgent)
        if seen:
            with self.sessions.begin() as session:
                images.lock(session, seen)
                self._strike_off(session, seen, worker_id)
        pending = [item for item in items if item.state == PENDING]
        decoded = self.decoder.decode(pending, self.models.inputs, worker_id, clock)
        while True:
            with clock.stage("wait"):
                batch = list(islice(decoded, self.size.now()))
            if not batch:
                return
            found = self._look(batch, worker_id, urgent, clock)
            self._save(batch, found, worker_id, clock)

    def _embed_captions(self, image_ids: Sequence[int], urgent: bool) -> None:
        """Embed what people wrote of these images since the embedder last looked, so that it is found by meaning."""
        embedder_id = self.annotators.embedder
        with self.sessions() as session:
            texts = filling.unembedded_captions(session, embedder_id, image_ids)
        if not texts:
            return
        with self.turn.take(image_ids, urgent):
            packed = annotations.pack(self.models.embedder.embed_texts(list(texts.values())))
        with self.sessions.begin() as session:
            embedded = dict(zip(texts, packed, strict=True))
            filling.save_caption_embeddings(session, embedder_id, texts, embedded)
        self.saved()

    def _strike_off(self, session: Session, image_ids: Sequence[int], worker_id: int | None) -> set[int]:
        """`work.finish` of images that are locked; those somebody has written of meanwhile wait again."""
        finished = work.finish(session, image_ids, worker_id)
        written = statements.unembedded(session, self.annotators.embedder, sorted(finished))
        work.add(session, written, priority=work.INTERACTIVE)
        return finished

    def _look(
        self, batch: Sequence[Decoded], worker_id: int | None, urgent: bool, clock: StageClock
    ) -> list[annotations.Annotation]:
        """Run the models; a batch on which they fail is halved until the image that is to blame is alone."""
        try:
            return self._run_models(batch, urgent, clock)
        except Exception as error:
            code, message = self._explain(batch, error)
        if len(batch) == 1:
            self._blame(batch[0][0], code, message, worker_id)
            return []
        half = len(batch) // 2
        return [
            found
            for part in (batch[:half], batch[half:])
            for found in self._look(part, worker_id, urgent, clock)
        ]

    def _explain(self, batch: Sequence[Decoded], error: Exception) -> tuple[str, str]:
        """Code and message for what the models failed with; smaller batches from now on if memory was short."""
        from indexer.predictors import free_memory, is_out_of_memory  # loads torch, which is there by now

        logger.warning("the models failed on %d images: %r", len(batch), error, exc_info=len(batch) == 1)
        if is_out_of_memory(error):
            self.size.too_many(len(batch))
            free_memory()
            return OUT_OF_MEMORY, f"Not even this image alone fits into the models' memory: {error}"
        return MODELS_FAILED, f"The models fail on this image: {error!r}"

    def _blame(self, item: work.WorkItem, code: str, message: str, worker_id: int | None) -> None:
        """An image is only blamed by models that are well."""
        try:
            self.models.warm_up()
        except Exception as error:
            raise ModelsBroken(f"The models fail on any image, last with: {error!r}") from error
        self.decoder.put_off(item, code, message, worker_id, alone=True)

    def _run_models(
        self, batch: Sequence[Decoded], urgent: bool, clock: StageClock
    ) -> list[annotations.Annotation]:
        pixels = self.models.stack([decoded for _, decoded in batch])
        with self.turn.take([item.image_id for item, _ in batch], urgent), clock.running(), metrics.busy():
            started = time.perf_counter()
            sight = self.models.look(pixels)
            self.size.took(len(batch), time.perf_counter() - started)
        metrics.batch_size.observe(len(batch))
        return [_annotation(item.image_id, decoded, sight, row) for row, (item, decoded) in enumerate(batch)]

    def _save(
        self,
        batch: Sequence[Decoded],
        found: Sequence[annotations.Annotation],
        worker_id: int | None,
        clock: StageClock,
    ) -> None:
        """Commit what was found, unless somebody else has the images by now."""
        seen = {annotation.image_id for annotation in found}
        with clock.stage("write"):
            for item, decoded in batch:
                if item.image_id in seen:
                    self.storage.put_thumbnail(item.content_hash, decoded.thumbnail)
        with self.sessions.begin() as session:
            with clock.stage("write"):
                kept = annotations.save(session, found, self.annotators)
                if not self._strike_off(session, list(kept), worker_id) >= kept.keys():
                    raise ClaimLost("These images are another worker's by now: this one was silent too long.")
            # With the images: who waits for them sees their seconds.
            jobs.add_stage_seconds(session, by_job([item for item, _ in batch], clock.take()))
        metrics.work_done.labels(outcome="indexed").inc(len(kept))
        self.saved()
        for item, _ in batch:
            if item.image_id in seen - kept.keys():  # deleted, with its files, before these were written
                self.storage.delete(item.content_hash, original=False)
            elif item.prepared and item.image_id in kept:
                self.decoder.prepared.forget(item.content_hash)


def _annotation(image_id: int, decoded: DecodedImage, sight: Sight, row: int) -> annotations.Annotation:
    facts = decoded.metadata
    taken_at = facts.taken_at.replace(tzinfo=None) if facts.taken_at else None
    return annotations.Annotation(
        image_id=image_id,
        format=decoded.format,
        width=decoded.width,
        height=decoded.height,
        tags=sight.tags[row],
        caption=sight.captions[row],
        image_embedding=sight.image_embeddings[row],
        caption_embedding=sight.caption_embeddings[row],
        taken_at=taken_at,
        title=facts.title,
        description=facts.description,
        place=facts.place,
        latitude=facts.latitude,
        longitude=facts.longitude,
        keywords=facts.keywords,
    )


def by_job(items: Sequence[work.WorkItem], seconds: Mapping[str, float]) -> dict[int, dict[str, float]]:
    """The seconds of a batch, shared out among the jobs its images are for."""
    counts = Counter(item.job_id for item in items if item.job_id is not None)
    return {
        job_id: {stage: spent * count / len(items) for stage, spent in seconds.items()}
        for job_id, count in counts.items()
    }
