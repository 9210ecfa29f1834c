"""Drift between Postgres and Milvus is found and mended, while others go on working."""

import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update
from sqlalchemy.orm import Session, sessionmaker

from indexer import local_stack
from indexer.catalog import annotations, images, outbox, work
from indexer.consistency import ENDLESS, Checker, Kind, Report, checksums, differences
from indexer.embeddings import EmbeddingStore, Rows
from indexer.embeddings.stores import EmbeddingStores
from indexer.publishing import Publisher
from indexer.tables import EmbeddingChange, Image, ImageEmbedding
from tests import catalogue
from tests.catalogue import DIMENSION, embedding

IMAGES = 12


@dataclass
class Both:
    """Two stores that agree, of twelve images, and what compares them four at a time."""

    sessions: sessionmaker[Session]
    store: EmbeddingStore
    by: annotations.Annotators
    ids: list[int]
    checker: Checker
    publisher: Publisher

    def found(self, **options: bool) -> dict[Kind, list[int]]:
        """What a check finds."""
        report = self.checker.check(**options)
        return {kind: finding.first for kind, finding in report.found.items() if finding.count}

    def repair(self) -> Report:
        """Mend, and make sure that nothing is left to be found."""
        report = self.checker.check(repair=True)
        assert report.agrees, report
        assert self.found() == {}
        return report


@pytest.fixture
def both(sessions: sessionmaker[Session], stack: local_stack.Endpoints) -> Iterator[Both]:
    """A library whose two stores agree."""
    stores = EmbeddingStores(stack.milvus_url)
    with sessions.begin() as session:
        by = catalogue.annotators(session)
        named = annotations.annotator_id(session, "embedder", "test", uuid.uuid4().hex[:12])
        by = replace(by, embedder=named)
        files = [catalogue.new_file() for _ in range(IMAGES)]
        ids = sorted(row.image_id for row in images.register(session, files))
        annotations.save(session, [catalogue.annotation(image_id) for image_id in ids], by)
        work.finish(session, ids, None)
        embedder = outbox.embedders(session, [named])[named]
    publisher = Publisher(sessions, stores)
    publisher.drain()
    store = stores.open(embedder, DIMENSION)
    yield Both(sessions, store, by, ids, Checker(sessions, stores, embedder, stretch=4), publisher)
    stores.close()


def _row(seed: int) -> np.ndarray:
    return embedding(seed)[None]


def test_a_healthy_library_agrees(both: Both) -> None:
    """Every embedding on both sides, compared in several stretches."""
    report = both.checker.check()
    assert report.agrees
    assert (report.images_in_milvus, report.captions_in_milvus, report.waiting) == (IMAGES, IMAGES, 0)


def test_lost_embeddings_are_put_back(both: Both) -> None:
    """From what Postgres keeps, without looking at the pictures."""
    lost = both.ids[1:3]
    both.store.delete_images(lost)
    assert both.found() == {"images_missing": lost, "captions_missing": lost}
    assert both.repair().mended == 2


def test_surplus_embeddings_are_removed(both: Both) -> None:
    """An image that Postgres does not know is not left to be found, wherever its id lies."""
    strangers = [0, max(both.ids) + 7, 2**40]
    both.store.upsert_images(strangers, np.repeat(_row(1), 3, axis=0))
    both.store.upsert_captions([10**9], [2**40], _row(2))
    assert both.found() == {"images_surplus": strangers, "captions_surplus": [2**40]}
    both.repair()


def test_a_changed_embedding_is_told_from_a_right_one(both: Both) -> None:
    """By its checksum: the ids on both sides are the same."""
    both.store.upsert_images(both.ids[:1], _row(99))
    [caption] = both.store.of(both.ids[1:2]).caption_ids
    both.store.upsert_captions([caption], both.ids[1:2], _row(98))
    assert both.found() == {"images_changed": both.ids[:1], "captions_changed": both.ids[1:2]}
    both.repair()


def test_a_caption_of_the_wrong_image_is_moved(both: Both) -> None:
    """It is missing in one place and surplus in the other, whichever is mended first."""
    right, wrong = both.ids[0], both.ids[-1]
    [caption] = both.store.of([right]).caption_ids
    both.store.upsert_captions([caption], [wrong], both.store.of([right]).captions)
    assert both.found() == {"captions_missing": [right], "captions_surplus": [wrong]}
    both.repair()


def test_a_lost_milvus_is_filled_again(both: Both) -> None:
    """With all its collections gone: everything is put back."""
    for channel in ("images", "captions"):
        both.store._milvus.call("drop_collection", both.store.collection(channel))
    both.checker.stores.forget(both.checker.embedder)
    assert both.found() == {"images_missing": both.ids, "captions_missing": both.ids}
    both.checker.stores.forget(both.checker.embedder)
    assert both.repair().mended == IMAGES


def test_what_is_on_its_way_is_no_difference(both: Both) -> None:
    """The outbox has it: whoever publishes next makes it agree."""
    with both.sessions.begin() as session:
        changed = {"embedding": annotations.pack(_row(5))[0]}
        session.execute(update(ImageEmbedding).where(ImageEmbedding.image_id == both.ids[3]).values(changed))
        images.remove(session, both.ids[:1])
    report = both.checker.check()
    assert report.agrees
    assert report.waiting == 2
    both.publisher.drain()
    assert both.checker.check().waiting == 0


@pytest.mark.parametrize("changing", [True, False])
def test_what_is_published_while_milvus_is_read_is_no_difference(
    both: Both, monkeypatch: pytest.MonkeyPatch, changing: bool
) -> None:
    """However slowly Milvus answers: changed again before each answer, or published right after the second."""
    read, turns = EmbeddingStore.of, iter(range(1, 9))

    def change(turn: int) -> None:
        with both.sessions.begin() as session:
            values = {"embedding": annotations.pack(_row(turn))[0]}
            query = update(ImageEmbedding).where(ImageEmbedding.image_id == both.ids[3])
            session.execute(query.values(values))

    def slowly(store: EmbeddingStore, image_ids: Sequence[int]) -> Rows:
        turn = next(turns)
        if changing:
            change(turn)
            both.publisher.drain()
        rows = read(store, image_ids)
        if not changing and turn == 2:
            both.publisher.drain()
        return rows

    change(0)
    both.store.upsert_images(both.ids[2:3], _row(99))
    monkeypatch.setattr(EmbeddingStore, "of", slowly)
    assert both.found() == {"images_changed": both.ids[2:3]}


def test_an_outbox_that_was_emptied_is_made_up_for(both: Both) -> None:
    """Changes nobody published and nobody knows of any more; also of an image never noted as indexed."""
    with both.sessions.begin() as session:
        session.execute(update(Image).where(Image.id == both.ids[0]).values(state="annotated"))
        images.remove(session, both.ids[5:6])
        session.execute(delete(EmbeddingChange))
    assert both.found() == {
        "not_marked": both.ids[:1],
        "images_surplus": both.ids[5:6],
        "captions_surplus": both.ids[5:6],
    }
    both.repair()
    with both.sessions() as session:
        assert images.count_by_state(session)["indexed"] == IMAGES - 1


def test_images_never_embedded_go_back_to_the_workers(both: Both) -> None:
    """Nothing is silently missing from search: somebody looks at them again."""
    with both.sessions.begin() as session:
        session.execute(delete(ImageEmbedding).where(ImageEmbedding.image_id == both.ids[2]))
    both.publisher.drain()
    assert both.found() == {"not_embedded": [both.ids[2]]}
    assert both.found(repair=True) == {}
    with both.sessions() as session:
        assert [item.image_id for item in work.items(session, both.ids, None)] == [both.ids[2]]


def test_the_last_bit_is_no_difference(both: Both) -> None:
    """Another machine may round a unit vector in another way."""
    held = both.store.of(both.ids)
    both.store.upsert_images(held.image_ids, np.nextafter(held.images, np.float32(2)))
    assert both.checker.check().agrees


def test_work_going_on_is_never_taken_for_drift(both: Both) -> None:
    """Images are changed, added, deleted and published all the time while one check follows another."""
    done = threading.Event()

    def work_on() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            with both.sessions.begin() as session:
                [new] = images.register(session, [catalogue.new_file(uuid.uuid4().hex)])
                some = [new.image_id, both.ids[turn % IMAGES]]
                said = [
                    catalogue.annotation(i, image_embedding=annotations.pack(_row(turn))[0]) for i in some
                ]
                annotations.save(session, said, both.by)
                images.remove(session, [new.image_id - 3] if new.image_id - 3 not in both.ids else [])

    def publish() -> None:
        while not done.is_set():
            both.publisher.step()

    threads = [threading.Thread(target=target) for target in (work_on, publish)]
    for thread in threads:
        thread.start()
    try:
        reports = [both.checker.check() for _ in range(10)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert all(report.agrees for report in reports)
    both.publisher.drain()
    assert both.checker.check().agrees


def test_a_repair_ends_though_changes_keep_coming(both: Both) -> None:
    """It publishes what it has noted, not whatever else comes for as long as it comes."""
    both.store.delete_images(both.ids)
    done = threading.Event()

    def work_on() -> None:
        while not done.is_set():
            with both.sessions.begin() as session:
                outbox.note(session, [10**6], both.by.embedder)

    thread = threading.Thread(target=work_on)
    thread.start()
    try:
        assert both.checker.check(repair=True).mended == IMAGES
    finally:
        done.set()
        thread.join()


SEEDS = st.dictionaries(st.integers(1, 6), st.integers(0, 3), max_size=6)
CAPTIONS = st.dictionaries(st.integers(1, 6), st.tuples(st.integers(1, 6), st.integers(0, 3)), max_size=6)


def _rows(seeds: dict[int, int], captions: dict[int, tuple[int, int]]) -> Rows:
    def stacked(values: list[int]) -> np.ndarray:
        return np.array([embedding(seed) for seed in values], np.float32).reshape(-1, DIMENSION)

    owners, numbers = [owner for owner, _ in captions.values()], [seed for _, seed in captions.values()]
    return Rows(list(seeds), stacked(list(seeds.values())), list(captions), owners, stacked(numbers))


@given(SEEDS, CAPTIONS, SEEDS, CAPTIONS)
def test_checksums_differ_exactly_where_content_does(
    images_a: dict[int, int],
    captions_a: dict[int, tuple[int, int]],
    images_b: dict[int, int],
    captions_b: dict[int, tuple[int, int]],
) -> None:
    """Whatever two sides hold: the images suspected are those that differ when looked at vector by vector."""
    a, b = _rows(images_a, captions_a), _rows(images_b, captions_b)
    sums_a, sums_b = checksums(a), checksums(b)
    suspects = {i for i in {*sums_a, *sums_b} if sums_a.get(i) != sums_b.get(i)}
    assert suspects == set().union(*differences(a, b).values())


def test_the_last_stretch_has_no_end(both: Both) -> None:
    """However high the ids are that Milvus holds."""
    *_, (_, high) = both.checker._stretches()
    assert high == ENDLESS
