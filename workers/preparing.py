"""The step that decodes ahead, on machines without models, what those with models will look at."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.orm import Session, sessionmaker

from indexer import logs
from indexer.catalog import jobs, preparing, work
from indexer.decoder import Decoder
from indexer.images import InputSpec
from indexer.pipeline import by_job
from indexer.prepared import name_of
from indexer.stage_clock import StageClock
from indexer.tables import PENDING
from workers.presence import Presence

logger = logging.getLogger(__name__)
WRITERS = 8  # files written at once: an object store takes its time over each
SWEEP_S = 600.0  # how often what nobody waits for any more is looked for


class PrepareStep:
    """Decodes the next images nobody has looked at yet. Safe to call from several threads.

    Args:
        sessions: makes sessions.
        presence: says under which id images are claimed.
        decoder: brings their pixels.
        most: how many images to claim.
        ahead: how many may lie decoded.
        prepared: called after each commit: there is more to look at.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        presence: Presence,
        decoder: Decoder,
        most: int,
        ahead: int,
        prepared: Callable[[], object] = lambda: None,
    ) -> None:
        self._sessions, self._presence, self._decoder = sessions, presence, decoder
        self._most, self._ahead, self._prepared = most, ahead, prepared
        self._sweep_at = time.monotonic()

    def __call__(self) -> bool:
        """Whether there was anything to decode."""
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_S
            self.sweep()
        worker_id = self._presence.worker_id
        with self._sessions.begin() as session:
            names = preparing.inputs_wanted(session)
            image_ids = preparing.claim(session, worker_id, self._most, self._ahead) if names else []
        if not image_ids:
            return False
        with self._presence.holding(image_ids):
            try:
                with logs.binding(image_ids=image_ids):
                    self._prepare(image_ids, [InputSpec.named(name) for name in names], worker_id)
            except BaseException:
                with self._sessions.begin() as session:
                    work.release(session, work.Claim(image_ids), worker_id)
                raise
        self._prepared()
        return True

    def sweep(self) -> None:
        """Remove what lies decoded of images that nothing waits for: given up, or done by who died at the last step."""
        kept = self._decoder.prepared.all()
        with self._sessions() as session:
            unwanted = preparing.unwanted(session, kept)
        for content_hash in unwanted:
            self._decoder.prepared.forget(content_hash)
        if unwanted:
            logger.info("%d images decoded ahead were waited for no more", len(unwanted))

    def _prepare(self, image_ids: Sequence[int], specs: Sequence[InputSpec], worker_id: int) -> None:
        """Decode and store; what cannot be decoded is recorded with its reason, as when it is looked at."""
        clock = StageClock()
        with self._sessions.begin() as session:
            items = work.items(session, image_ids, worker_id)
        pending = [item for item in items if item.state == PENDING]
        with ThreadPoolExecutor(WRITERS, thread_name_prefix="prepare") as writers:
            kept = {
                item: writers.submit(self._decoder.prepared.keep, decoded, specs)
                for item, decoded in self._decoder.decode(pending, specs, worker_id, clock)
            }
            for writing in kept.values():
                writing.result()
        nothing_to_decode = [item.image_id for item in items if item.state != PENDING]
        with self._sessions.begin() as session:
            mine = preparing.settle(session, [item.image_id for item in kept], worker_id, name_of(specs))
            preparing.settle(session, nothing_to_decode, worker_id, "")
            jobs.add_stage_seconds(session, by_job(list(kept), clock.take()))
        for item in kept:
            if item.image_id not in mine:  # deleted meanwhile, or another worker's
                self._decoder.prepared.forget(item.content_hash)
