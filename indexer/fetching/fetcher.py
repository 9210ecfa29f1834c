"""The step that fetches: one address after the other becomes a registered image, or is refused with its reason."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from indexer import metrics
from indexer.catalog import fetches, images, statements
from indexer.catalog.fetches import ATTEMPTS, Claimed
from indexer.errors import ConfigurationError, ImageError, NotFetched
from indexer.images import content_hash
from indexer.storage import Storage

logger = logging.getLogger(__name__)
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
_KILLED = "The worker that fetched this ended, again and again. Look at what the address sends."


@dataclass(frozen=True)
class Fetcher:
    """Brings what waits to be fetched. Safe to use from several threads.

    Args:
        sessions: makes sessions; none is open while bytes come.
        worker_id: under which fetches are claimed.
        bring: the picture at an address; raises ImageError.
        storage: where what came is kept.
        wake: called after each image that has to be looked at.
        remove: takes away images whose address shows another one now and that nothing else names.
    """

    sessions: sessionmaker[Session]
    worker_id: Callable[[], int]
    bring: Callable[[str], bytes]
    storage: Storage
    wake: Callable[[], object]
    remove: Callable[[list[int]], object]

    def step(self) -> bool:
        """Fetch one address; whether there was one.

        Raises:
            ServiceUnavailable, OperationalError: a store does not answer; the fetch stays as it was.
        """
        worker_id = self.worker_id()
        with self.sessions.begin() as session:
            fetch = fetches.claim(session, worker_id)
        if fetch is None:
            return False
        try:
            self._fetch(fetch)
        except BaseException:
            self._release(fetch)
            raise
        return True

    def _fetch(self, fetch: Claimed) -> None:
        try:
            if fetch.attempts >= ATTEMPTS:
                raise NotFetched(_KILLED)
            data = self.bring(fetch.url)
        except NotFetched as error:
            if error.again and fetch.attempts + 1 < ATTEMPTS:
                self._put_off(fetch, error)
            else:
                self._refuse(fetch, error.code, str(error))
        except ImageError as error:
            self._refuse(fetch, error.code, str(error))
        except ConfigurationError as error:
            self._refuse(fetch, NotFetched.code, str(error))
        else:
            self._keep(fetch, data)

    def _keep(self, fetch: Claimed, data: bytes) -> None:
        """The original into the store, then the image and what is said of it into the catalogue at once."""
        digest = content_hash(data)
        self.storage.put_original(digest, data)
        said = fetch.said
        file = images.NewFile(digest, len(data), "url", fetch.url, external_id=said.sku, title=said.title)
        with self.sessions.begin() as session:
            (registered,) = images.register(session, [file], fetch.job_id, fetch.priority)
            self.storage.put_original(
                digest, data
            )  # once more: the same bytes may have been deleted meanwhile
            if not fetches.finish(session, fetch, registered.image_id):
                session.rollback()  # another worker's by now, which does the same
                return
            images.look_again(session, images.failed(session, [registered.image_id]), fetch.job_id)
            statements.say(session, {registered.image_id: said}, fetch.job_id, fetch.priority)
        metrics.fetches.labels(outcome="fetched").inc()
        self.wake()
        if registered.replaced is not None:
            self.remove([registered.replaced])

    def _refuse(self, fetch: Claimed, code: str, message: str) -> None:
        logger.info("input %d of job %d refused: %s", fetch.position, fetch.job_id, code)
        metrics.fetches.labels(outcome="refused").inc()
        with self.sessions.begin() as session:
            fetches.refuse(session, fetch, code, message)

    def _put_off(self, fetch: Claimed, error: NotFetched) -> None:
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**fetch.attempts) * random.uniform(0.5, 1.5)
        logger.info(
            "input %d of job %d: attempt %d in vain", fetch.position, fetch.job_id, fetch.attempts + 1
        )
        metrics.fetches.labels(outcome="retried").inc()
        with self.sessions.begin() as session:
            fetches.put_off(session, fetch, max(wait_s, error.after_s or 0.0))

    def _release(self, fetch: Claimed) -> None:
        """Where even that fails, the claim runs out by itself once this worker is gone."""
        try:
            with self.sessions.begin() as session:
                fetches.release(session, fetch)
        except SQLAlchemyError as error:
            logger.warning("a fetch stays claimed for a while: %s", error)
