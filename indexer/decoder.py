"""From images that wait to decoded ones; what cannot be decoded is recorded with its reason."""

import logging
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlparse

from sqlalchemy.orm import Session, sessionmaker

from indexer import metrics
from indexer.catalog import images, work
from indexer.decoding import DecodePool, Source
from indexer.errors import ImageError, ImageUnreadable
from indexer.images import DecodedImage, InputSpec
from indexer.prepared import PreparedImages, holds
from indexer.stage_clock import StageClock
from indexer.storage import Storage

logger = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 60.0
READERS = 8  # prepared images read at once: an object store takes its time over each

Decoded = tuple[work.WorkItem, DecodedImage]


class Registered(Protocol):
    """An image of the catalogue, and where its bytes may be: (kind, uri), oldest first."""

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of the bytes."""

    @property
    def sources(self) -> Sequence[tuple[str, str]]:
        """Where it came from."""


@dataclass(frozen=True)
class Decoder:
    """Decodes the images of a claim, or reads what another worker has decoded ahead. Safe to share among threads."""

    sessions: sessionmaker[Session]
    storage: Storage
    pool: DecodePool

    @property
    def prepared(self) -> PreparedImages:
        """What has been decoded ahead."""
        return PreparedImages(self.storage)

    def decode(
        self,
        items: Sequence[work.WorkItem],
        specs: Sequence[InputSpec],
        worker_id: int | None,
        clock: StageClock,
    ) -> Iterator[Decoded]:
        """Images as their decoding completes. Raises ServiceUnavailable."""
        rest = [item for item in items if not holds(item.prepared, specs)]
        ready = [item for item in items if holds(item.prepared, specs)]
        for item, found in self._read_prepared(ready, specs):
            if found is None:
                rest.append(item)
            else:
                clock.add("read", found.read_s)
                yield item, found
        sources = [(item, source_of(item, self.storage)) for item in rest]
        for item, outcome in self.pool.decode_all(sources, specs):
            if isinstance(outcome, ImageError):
                self.refuse(item, outcome, worker_id)
            elif outcome.content_hash != item.content_hash:
                changed = ImageUnreadable("The file changed after it was registered; index it again.")
                self.refuse(item, changed, worker_id)
            else:
                clock.add("read", outcome.read_s)
                clock.add("decode", outcome.decode_s)
                yield item, outcome

    def refuse(self, item: work.WorkItem, error: ImageError, worker_id: int | None) -> None:
        """Record for good why an image cannot be decoded; put it off if that may be the store's fault."""
        if isinstance(error, ImageUnreadable) and _is_stored(item):  # the store may only be away
            self.put_off(item, error.code, str(error), worker_id)
            return
        logger.info("image %d refused: %s: %s", item.image_id, error.code, error)
        metrics.work_done.labels(outcome="failed").inc()
        with self.sessions.begin() as session:
            images.fail(session, item.image_id, error.code, str(error))

    def put_off(
        self, item: work.WorkItem, code: str, message: str, worker_id: int | None, alone: bool = False
    ) -> None:
        """Note an attempt in vain; each is further from the one before."""
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**item.attempts) * random.uniform(0.5, 1.5)
        logger.warning(
            "image %d: attempt %d in vain: %s: %s", item.image_id, item.attempts + 1, code, message
        )
        metrics.work_done.labels(outcome="retried").inc()
        with self.sessions.begin() as session:
            work.put_off(session, item.image_id, worker_id, code, message, wait_s, alone)

    def _read_prepared(
        self, items: Sequence[work.WorkItem], specs: Sequence[InputSpec]
    ) -> Iterator[tuple[work.WorkItem, DecodedImage | None]]:
        """Each with what was decoded ahead; None where it is gone, so that it is decoded here."""
        if items:
            with ThreadPoolExecutor(READERS, thread_name_prefix="prepared") as readers:
                found = readers.map(lambda item: self.prepared.read(item.content_hash, specs), items)
                yield from zip(items, found, strict=True)


def source_of(image: Registered, storage: Storage) -> Source:
    """The first place that should still have the bytes."""
    paths = [local_path(uri) for kind, uri in image.sources if kind == "path"]
    for path in paths:
        if path.is_file():
            return path
    if paths and not _is_stored(image):
        return paths[0]
    return storage.source(image.content_hash)


def local_path(uri: str) -> Path:
    """The path a `file://` address names; bytes that are not UTF-8 survive the round trip."""
    return Path(unquote(urlparse(uri).path, errors="surrogateescape"))


def _is_stored(image: Registered) -> bool:
    return any(kind != "path" for kind, _ in image.sources)
