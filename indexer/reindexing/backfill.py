"""Filling: a further model looks at what is there, batch by batch, whenever there is nothing more urgent.

All that is remembered is in Postgres, so a filling that was killed goes on where it was, and several workers share it.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from indexer import predictors
from indexer.batching import BatchSize, ModelsTurn
from indexer.catalog import annotations, models, reindexes
from indexer.catalog.reindexes import Change
from indexer.embeddings.stores import EmbeddingStores
from indexer.errors import ModelMissing
from indexer.reindexing import claims, in_effect, switching
from indexer.reindexing.filling import CaptionerFilling, EmbedderFilling, Filling, InEffect, TaggerFilling
from indexer.reindexing.in_effect import Choice
from indexer.reindexing.pixels import PixelReader
from indexer.reindexing.report import compare

if TYPE_CHECKING:
    from indexer.predictors import Embedder

logger = logging.getLogger(__name__)
# After a switch every process notices within two seconds; what it committed until then is looked for once more.
SETTLES_S = 15.0
MISSING_AGAIN_S = 60.0  # a model that is not on this machine is looked for again after so long


@dataclass
class Backfill:
    """Brings the change under way forward by a batch. Safe to use from several threads.

    Args:
        engine: for locks.
        sessions: the catalogue.
        pixels: reads images.
        choice: how this machine runs models.
        embedder: the embedder in effect and its row.
        stores: Milvus.
        size: how many images at once.
        turn: the models' turn, which indexing waits for too.
        share: 0..1, how much of the time filling may take; the rest is left to others.
        rest: waits so many seconds, or less if the process is to end.
    """

    engine: Engine
    sessions: sessionmaker[Session]
    pixels: PixelReader
    choice: Choice
    embedder: InEffect
    stores: EmbeddingStores
    size: BatchSize = field(default_factory=lambda: BatchSize(16))
    turn: Callable[[], ModelsTurn] = field(default_factory=lambda: cache(ModelsTurn))
    share: float = 1.0
    rest: Callable[[float], Any] = time.sleep
    settles_s: float = SETTLES_S
    _model: "tuple[int, Filling] | None" = field(default=None, init=False)
    _loading: threading.Lock = field(default_factory=threading.Lock, init=False)
    _not_here_until: float = field(default=0.0, init=False)

    def step(self) -> bool:
        """Fill a batch, or do what is due next; whether anything was done.

        Raises:
            ServiceUnavailable, OperationalError: a store does not answer; nothing is lost.
        """
        with self.sessions() as session:
            change = reindexes.running(session)
            busy = change is not None and change.switched_at is None and reindexes.indexing(session)
        if change is None:
            self._model = None
        if change is None or busy:
            return False
        if change.switched_at is not None and switching.change_some_hands(self.sessions, change):
            return True
        with claims.next_images(self.engine, self.sessions, change, self.size.now()) as claim:
            if claim.image_ids:
                return self._fill(change, claim.image_ids)
        return False if claim.taken else self._finish(change)

    # --- a batch

    def _fill(self, change: Change, image_ids: Sequence[int]) -> bool:
        """Whether the model is here, so that it could look at them."""
        model, started = self._filling(change), time.monotonic()
        if model is None:
            return False
        with self.sessions() as session:
            needed = model.needed(session, image_ids)
            pictures = reindexes.pictured(session, needed.pictures)
        seen = self.pixels.read(pictures, model.input)
        try:
            with self.turn().take(image_ids):
                began = time.monotonic()
                keep = model.look(needed, seen.pixels)
                self.size.took(len(image_ids), time.monotonic() - began)
        except Exception as error:
            if not predictors.is_out_of_memory(error) or len(image_ids) == 1:
                raise
            self.size.too_many(len(image_ids))
            predictors.free_memory()
            return True
        self._keep(change, keep, seen.unreadable)
        self.rest((time.monotonic() - started) * (1 / self.share - 1))
        return True

    def _keep(self, change: Change, keep: Callable[[Session], None], unreadable: Mapping[int, str]) -> None:
        with self.sessions.begin() as session:
            models.stay(session)
            if not reindexes.still_running(session, change.id):
                return
            keep(session)
            if unreadable:
                reindexes.pass_over(session, change.id, unreadable)

    def _filling(self, change: Change) -> Filling | None:
        """The model of the change, loaded; None if it is not on this machine, which others may have."""
        with self._loading:
            if self._model is not None and self._model[0] == change.annotator_id:
                return self._model[1]
            if time.monotonic() < self._not_here_until:
                return None
            try:
                model = self._load(change)
            except ModelMissing as error:
                self._not_here_until = time.monotonic() + MISSING_AGAIN_S
                logger.warning("not filling here: %s", error)
                return None
            self._model = (change.annotator_id, model)
            return model

    def _load(self, change: Change) -> Filling:
        with self.sessions() as session:
            row = models.named(session, change.annotator_id)
        if change.kind == "embedder":
            return EmbedderFilling(in_effect.load_embedder(row, self.choice), row.annotator_id)
        if change.kind == "tagger":
            tagger = in_effect.load_tagger(row, self.choice)
            with self.sessions.begin() as session:
                annotations.save_vocabulary(session, row.annotator_id, tagger.vocabulary)
            return TaggerFilling(tagger, row.annotator_id)
        return CaptionerFilling(in_effect.load_captioner(row, self.choice), row.annotator_id, self.embedder)

    # --- nothing is missing as far as can be seen from where it was

    def _finish(self, change: Change) -> bool:
        if change.switched_at is None and change.filled_at is not None:
            self._model = None  # it may be long until somebody decides
            return False
        if change.switched_at is None:
            return self._compare(change)
        with self.sessions.begin() as session:
            if not reindexes.settled(session, change.id, self.settles_s):
                return False
            if change.kind != "tagger" and self._starts_over(session, change):
                return True
            if not reindexes.end(session, change.id):
                return False
        switching.point_aliases(self.sessions, self.stores)
        logger.info("the change to the %s %s is complete", change.kind, change.name)
        return True

    def _compare(self, change: Change) -> bool:
        """Once Milvus holds everything too, say how the two models differ; whether that was done."""
        if change.kind == "embedder" and self._filling(change) is None:
            return False  # a worker that has it compares
        with claims.alone(self.engine) as mine:
            if not mine:
                return False
            with self.sessions.begin() as session:
                if change.kind == "embedder" and reindexes.unpublished(session, change.annotator_id):
                    return False
                if self._starts_over(session, change):
                    return True
            report = compare(self.sessions, change, self._embedders(change), self.stores)
            with self.sessions.begin() as session:
                reindexes.note_filled(session, change.id, report)
                reindexes.note_filled_to(session, change.id, None)
        logger.info("the %s %s has looked at everything", change.kind, change.name)
        return True

    def _embedders(self, change: Change) -> "tuple[Embedder, Embedder] | None":
        """The embedder in effect and the new one, where it is them that change and both are here."""
        model = self._filling(change) if change.kind == "embedder" else None
        if not isinstance(model, EmbedderFilling):
            return None
        try:
            return self.embedder()[1], model.model
        except ModelMissing as error:
            logger.warning("searches are not compared: %s", error)
            return None

    def _starts_over(self, session: Session, change: Change) -> bool:
        """Whether something was missed on the way, such as what was not indexed yet; then go on from there."""
        left = reindexes.missing(session, change, 0, 1)
        if left:
            reindexes.note_filled_to(session, change.id, left[0] - 1)
        return bool(left)
