"""The step that looks at images: claim some, run them through the pipeline."""

import logging
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from indexer import logs
from indexer.batching import BatchSize, Company
from indexer.catalog import work
from indexer.errors import ClaimLost, ModelsBroken, ModelsChanged
from indexer.pipeline import Pipeline
from workers.presence import Presence
from workers.watch import end_gracefully

logger = logging.getLogger(__name__)


class IndexStep:
    """Looks at the next batch of images, the most urgent first. Safe to call from several threads.

    Args:
        sessions: makes sessions.
        presence: says under which id images are claimed.
        pipeline: the road with the models in effect; asked for every batch.
        size: how many images to claim.
        company: of all steps of this process.
        urgent: only images somebody waits for, so that they never wait for a slot.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        presence: Presence,
        pipeline: Callable[[], Pipeline],
        size: BatchSize,
        company: Company,
        urgent: bool = False,
    ) -> None:
        self._sessions, self._presence, self._pipeline = sessions, presence, pipeline
        self._size, self._company, self._urgent = size, company, urgent

    def __call__(self) -> bool:
        """Whether there was anything to look at."""
        with self._company.together():
            claim = self._work(alone=False)
        if claim is not None and not claim.image_ids:  # suspects are next
            with self._company.alone():
                claim = self._work(alone=True)
        return claim is not None

    def _work(self, alone: bool) -> work.Claim | None:
        worker_id = self._presence.worker_id
        with self._sessions.begin() as session:
            claim = work.claim(session, worker_id, self._size.now(), self._urgent, alone)
        if claim is not None and claim.image_ids:
            with self._presence.holding(claim.image_ids):
                self._look_at(claim, worker_id)
        return claim

    def _look_at(self, claim: work.Claim, worker_id: int) -> None:
        try:
            with logs.binding(image_ids=claim.image_ids):
                started = time.perf_counter()
                self._pipeline().index(claim.image_ids, worker_id, self._urgent)
                logger.info(
                    "looked at %d images in %.2f s", len(claim.image_ids), time.perf_counter() - started
                )
        except (ModelsChanged, ClaimLost) as error:
            logger.info("%d images are looked at again: %s", len(claim.image_ids), error)
            self._release(claim, worker_id)
        except BaseException as error:
            self._release(claim, worker_id)
            if isinstance(error, ModelsBroken):
                end_gracefully()  # whoever keeps this worker running starts one whose models may be well
            raise

    def _release(self, claim: work.Claim, worker_id: int) -> None:
        """Where even that fails, the claim runs out by itself: nobody holds it any more."""
        try:
            with self._sessions.begin() as session:
                work.release(session, claim, worker_id)
        except SQLAlchemyError as error:
            logger.warning("%d images stay claimed for a while: %s", len(claim.image_ids), error)
