"""Does Milvus hold exactly what Postgres says it should? And if not, make it so.

Images are compared a stretch of ids at a time, so memory stays flat however many there are: first a checksum of each
on both sides, then those whose checksums differ, vector by vector. Others go on working meanwhile: a difference counts
if it is still one when looked at again, and is not on its way through the outbox.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session, sessionmaker

from indexer import metrics
from indexer.catalog import annotations, consistency, images, outbox
from indexer.catalog.annotations import StoredEmbeddings
from indexer.catalog.outbox import Embedder
from indexer.embeddings import Rows
from indexer.embeddings.stores import EmbeddingStores
from indexer.embeddings.vectors import Vectors
from indexer.publishing import Publisher, common_dimension, rows_of

STRETCH = 1_000  # images compared at once: some 4 MB on either side at 512 dimensions
FIRST = 20  # ids named in a report
ENDLESS = 2**63 - 1
PATIENCE_S, PAUSE_S = 60.0, 0.05  # for what is to be published, a stretch at a time
TOLERANCE = 1e-6  # of a component: other machines round the last bit of a unit vector in other ways

Kind = Literal[
    "images_missing",
    "images_surplus",
    "images_changed",
    "captions_missing",
    "captions_surplus",
    "captions_changed",
    "not_marked",
    "not_embedded",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Images by how they differ; of captions, the images they are of.
Differences = dict[Kind, set[int]]


@dataclass
class Finding:
    """How many images differ in one way, and the ids of the first of them."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, image_ids: Collection[int]) -> None:
        """Count these too."""
        self.count += len(image_ids)
        self.first = sorted([*self.first, *image_ids])[:FIRST]


@dataclass
class Report:
    """What was found of one embedder's embeddings.

    Attributes:
        embedder: its name and version.
        images_in_milvus: rows held.
        captions_in_milvus: rows held.
        waiting: images seen to differ and on their way through the outbox: no difference.
        found: by kind, the images that differ, or still differ after they were mended.
        mended: how many images were mended.
    """

    embedder: str
    images_in_milvus: int = 0
    captions_in_milvus: int = 0
    waiting: int = 0
    mended: int = 0
    found: dict[Kind, Finding] = field(default_factory=lambda: {kind: Finding() for kind in KINDS})

    @property
    def agrees(self) -> bool:
        """Whether Milvus holds exactly what it should."""
        return not any(finding.count for finding in self.found.values())


@dataclass(frozen=True)
class Checker:
    """Compares one embedder's embeddings in Postgres with those in Milvus.

    Args:
        sessions: the catalogue.
        stores: Milvus.
        embedder: whose embeddings.
        in_effect: whether every indexed image should have one.
        stretch: images compared at once.
    """

    sessions: sessionmaker[Session]
    stores: EmbeddingStores
    embedder: Embedder
    in_effect: bool = True
    stretch: int = STRETCH

    def check(self, *, repair: bool = False, on_progress: Callable[[int], None] = lambda _: None) -> Report:
        """Compare everything; with `repair`, mend what differs by publishing it again.

        Images that were never embedded go back to the workers. `on_progress` is told how many images were compared.

        Raises:
            ServiceUnavailable, OperationalError: a store does not answer.
        """
        report = Report(f"{self.embedder.name} ({self.embedder.version})")
        for low, high in self._stretches():
            differing = self._compare(report, low, high)
            if repair and differing:
                differing = self._mend(report, differing)
            for kind, image_ids in differing.items():
                report.found[kind].add(image_ids)
                metrics.drift_found.labels(kind=kind).inc(len(image_ids))
            on_progress(self.stretch)
        return report

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """All ids there can be, cut where a stretch's number of images is reached."""
        low = 0
        while True:
            with self.sessions() as session:
                high = consistency.stretch_end(session, low, self.stretch)
            yield low, ENDLESS if high is None else high
            if high is None:
                return
            low = high

    def _compare(self, report: Report, low: int, high: int) -> Differences:
        with self.sessions() as session:
            stored = consistency.stored_between(session, self.embedder.id, low, high)
            lacking = consistency.not_embedded(session, self.embedder.id, low, high) if self.in_effect else []
            unmarked = consistency.not_marked(session, self.embedder.id, low, high) if self.in_effect else []
        store = self.stores.existing(self.embedder)
        held = store.between(low, high) if store else _nothing(stored)
        report.images_in_milvus += len(held.image_ids)
        report.captions_in_milvus += len(held.caption_ids)
        suspects = _differing(checksums(rows_of(stored, held.images.shape[1])), checksums(held))
        found: Differences = self._confirmed(report, suspects) if suspects else {}
        found["not_embedded"], found["not_marked"] = set(lacking), set(unmarked)
        return {kind: image_ids for kind, image_ids in found.items() if image_ids}

    def _confirmed(self, report: Report, suspects: Sequence[int]) -> Differences:
        """How suspects differ, if they do so twice and nothing of them is on its way."""
        (first, moving), (again, moving_again) = self._look(suspects), self._look(suspects)
        waiting = moving | moving_again
        report.waiting += len(waiting)
        return {kind: image_ids & again.get(kind, set()) - waiting for kind, image_ids in first.items()}

    def _look(self, image_ids: Sequence[int]) -> tuple[Differences, set[int]]:
        """How images differ, and those of which that says nothing: on their way, or changed while Milvus was read.

        Others must be in Milvus as Postgres has them: what was committed before the outbox was asked is published,
        and nothing was committed since.
        """
        with self.sessions() as session:
            stored = annotations.embeddings(session, image_ids, self.embedder.id)
            waiting = outbox.waiting(session, image_ids, self.embedder.id)
        store = self.stores.existing(self.embedder)
        held = store.of(image_ids) if store else _nothing(stored)
        with self.sessions() as session:
            later = annotations.embeddings(session, image_ids, self.embedder.id)
        return differences(rows_of(stored, held.images.shape[1]), held), waiting | _changed(stored, later)

    def _mend(self, report: Report, differing: Differences) -> Differences:
        """Publish again; what differs even then. No more than a stretch is in the outbox on our account."""
        lacking = differing.pop("not_embedded", set())
        wanted = sorted(set().union(*differing.values()))
        with self.sessions.begin() as session:
            outbox.note(session, wanted, self.embedder.id)
            images.look_again(session, sorted(lacking))
        waiting = self._publish(wanted)
        left = {kind: image_ids for kind, image_ids in self._confirmed(report, wanted).items() if image_ids}
        report.mended += len((lacking | set(wanted)) - waiting - set().union(*left.values()))
        return left

    def _publish(self, image_ids: Sequence[int]) -> set[int]:
        """Publish until these are through, whatever else comes meanwhile; those that would not go."""
        publisher, deadline = Publisher(self.sessions, self.stores), time.monotonic() + PATIENCE_S
        while True:
            with self.sessions() as session:
                waiting = outbox.waiting(session, image_ids, self.embedder.id)
            if not waiting or time.monotonic() > deadline:
                return waiting
            if not publisher.step():
                time.sleep(PAUSE_S)  # others hold them


def checksums(rows: Rows) -> dict[int, int]:
    """One number an image, of its own embedding and its captions', whatever their order; equal if all bits are."""
    sums: dict[int, int] = {}
    _add_up(sums, rows.image_ids, rows.image_ids, rows.images, seed=1)
    _add_up(sums, rows.owners, rows.caption_ids, rows.captions, seed=2)
    return sums


def _add_up(
    sums: dict[int, int], owners: Sequence[int], ids: Sequence[int], vectors: Vectors, seed: int
) -> None:
    factors = np.random.default_rng(seed).integers(1, 2**63, vectors.shape[1], np.uint64) | np.uint64(1)
    values = np.ascontiguousarray(vectors, np.float32).view(np.uint32).astype(np.uint64) @ factors
    values = _scattered(values ^ _scattered(np.asarray(ids, np.uint64)))
    for owner, value in zip(owners, values.tolist(), strict=True):
        sums[owner] = (sums.get(owner, 0) + value) % 2**64


def _scattered(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each to one other, so that sums of them tell sets apart."""
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _differing(expected: Mapping[int, int], held: Mapping[int, int]) -> list[int]:
    return sorted(i for i in expected.keys() | held.keys() if expected.get(i) != held.get(i))


def differences(expected: Rows, held: Rows) -> Differences:
    """The images of which Milvus holds something else than it should, by what that is."""
    return {
        **_of_channel(
            ("images_missing", "images_surplus", "images_changed"),
            _keyed(expected.image_ids, expected.image_ids, expected.images),
            _keyed(held.image_ids, held.image_ids, held.images),
        ),
        **_of_channel(
            ("captions_missing", "captions_surplus", "captions_changed"),
            _keyed(expected.owners, expected.caption_ids, expected.captions),
            _keyed(held.owners, held.caption_ids, held.captions),
        ),
    }


# Vectors by whose they are and their own id.
Keyed = dict[tuple[int, int], NDArray[np.float32]]


def _keyed(owners: Sequence[int], ids: Sequence[int], vectors: Vectors) -> Keyed:
    return dict(zip(zip(owners, ids, strict=True), vectors, strict=True))


def _of_channel(kinds: tuple[Kind, Kind, Kind], expected: Keyed, held: Keyed) -> Differences:
    both = expected.keys() & held.keys()
    changed = {key for key in both if np.abs(expected[key] - held[key]).max() > TOLERANCE}
    keys = (expected.keys() - held.keys(), held.keys() - expected.keys(), changed)
    return {kind: {owner for owner, _ in found} for kind, found in zip(kinds, keys, strict=True)}


def _changed(before: StoredEmbeddings, after: StoredEmbeddings) -> set[int]:
    """The images of which Postgres has other embeddings than before."""
    images = before.images.items() ^ after.images.items()
    captions = before.captions.items() ^ after.captions.items()
    return {image_id for image_id, _ in images} | {image_id for _, (image_id, _) in captions}


def _nothing(stored: StoredEmbeddings) -> Rows:
    """What a Milvus without the collections holds, of the width of what is stored."""
    none = np.empty((0, common_dimension(stored) or 1), np.float32)
    return Rows([], none, [], [], none)
