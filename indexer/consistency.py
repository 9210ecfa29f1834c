"""Does Milvus hold exactly what Postgres says it should? And if not, make it so.

Both sides are read in ascending id order and merged, so memory stays flat however many images there are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, consistency, images
from indexer.embeddings import EmbeddingStore
from indexer.pipeline import upsert

T = TypeVar("T", int, tuple[int, int])
REPAIR_BATCH = 1000


@dataclass
class Report:
    """Differences found. All lists empty and nothing unfinished: the two stores agree."""

    images_by_state: dict[str, int] = field(default_factory=dict)
    images_in_milvus: int = 0
    captions_in_milvus: int = 0
    images_missing: list[int] = field(default_factory=list)
    images_surplus: list[int] = field(default_factory=list)
    captions_missing: list[int] = field(default_factory=list)
    captions_surplus: list[int] = field(default_factory=list)
    not_embedded: list[int] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether Milvus holds exactly what it should."""
        drift = (self.images_missing, self.images_surplus, self.captions_missing, self.captions_surplus)
        return not (any(drift) or self.not_embedded)


@dataclass(frozen=True)
class Checker:
    """Compares and mends one collection of embeddings."""

    sessions: sessionmaker[Session]
    store: EmbeddingStore
    embedder_id: int

    def check(self) -> Report:
        """Compare ids on both sides; caption differences are reported by image."""
        report = Report()
        with self.sessions() as session:
            report.images_by_state = images.count_by_state(session)
            expected = consistency.indexed_image_ids(session, self.embedder_id)
            actual, counted = _counting(self.store.image_ids())
            report.images_missing, report.images_surplus = _differences(expected, actual)
            report.images_in_milvus = counted()
            captions = consistency.indexed_caption_ids(session, self.embedder_id)
            held, counted = _counting(self.store.caption_ids())
            missing, surplus = _differences(captions, held)
            report.captions_in_milvus = counted()
            report.captions_missing = sorted({image_id for _, image_id in missing})
            report.captions_surplus = sorted({image_id for _, image_id in surplus})
            report.not_embedded = consistency.images_without_embedding(session, self.embedder_id)
        return report

    def repair(self, report: Report, enqueue: Callable[[list[int]], None]) -> None:
        """Remove what should not be in Milvus, put back what should, send the rest to the workers."""
        surplus = sorted({*report.images_surplus, *report.captions_surplus})
        for batch in _batches(surplus):
            self.store.delete_images(batch)
        with self.sessions() as session:
            wanted = {*report.images_missing, *report.captions_missing}
            wanted |= set(images.indexed_among(session, report.captions_surplus))
        for batch in _batches(sorted(wanted)):
            with self.sessions() as session:
                stored = annotations.embeddings(session, batch, self.embedder_id)
            upsert(self.store, stored)
        self.store.flush()
        if report.not_embedded:
            with self.sessions.begin() as session:
                images.look_again(session, report.not_embedded)
            enqueue(report.not_embedded)


def _differences(expected: Iterator[T], actual: Iterator[T]) -> tuple[list[T], list[T]]:
    """(missing, surplus) of two ascending sequences."""
    missing: list[T] = []
    surplus: list[T] = []
    left, right = next(expected, None), next(actual, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left < right):
            assert left is not None
            missing.append(left)
            left = next(expected, None)
        elif left is None or right < left:
            surplus.append(right)
            right = next(actual, None)
        else:
            left, right = next(expected, None), next(actual, None)
    return missing, surplus


def _counting(values: Iterator[T]) -> tuple[Iterator[T], Callable[[], int]]:
    seen = 0

    def count() -> Iterator[T]:
        nonlocal seen
        for value in values:
            seen += 1
            yield value

    return count(), lambda: seen


def _batches(values: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(values), REPAIR_BATCH):
        yield values[start : start + REPAIR_BATCH]
