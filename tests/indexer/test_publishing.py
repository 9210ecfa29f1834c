"""The outbox reaches Milvus whatever happens on the way: on real servers, killed, raced and kept waiting."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from indexer import local_stack
from indexer.catalog import annotations, images, models, outbox
from indexer.embeddings import EmbeddingStore
from indexer.embeddings.stores import EmbeddingStores
from indexer.errors import ServiceUnavailable
from indexer.publishing import Publisher
from indexer.tables import Caption, CaptionEmbedding, EmbeddingChange, ImageEmbedding
from tests import catalogue
from tests.conftest import ROOT
from tests.processes import kill
from tests.shelf import Shelf, open_shelf


@pytest.fixture
def shelf(sessions: sessionmaker[Session], stack: local_stack.Endpoints) -> Iterator[Shelf]:
    """An empty one."""
    opened = open_shelf(sessions, stack.milvus_url)
    yield opened
    opened.stores.close()


def test_what_is_committed_is_published(shelf: Shelf) -> None:
    """Images and captions, bit by bit; the images are indexed then, and there is nothing more to do."""
    shelf.add(3)
    assert (shelf.states(), shelf.waiting()) == ({"annotated"}, 3)
    assert shelf.publisher.step()
    assert (shelf.states(), shelf.waiting()) == ({"indexed"}, 0)
    assert shelf.held(shelf.by.embedder) == shelf.expected(shelf.by.embedder)
    assert not shelf.publisher.step()


def test_a_caption_replaced_leaves_nothing_behind(shelf: Shelf) -> None:
    """Written, written again and dropped: Milvus holds what is left, also of an image indexed long ago."""
    [image_id] = shelf.add()
    shelf.publisher.drain()
    shelf.write_caption(image_id, 5)
    shelf.publisher.drain()
    assert len(shelf.held(shelf.by.embedder)[1]) == 2
    shelf.drop_captions(image_id)
    shelf.publisher.drain()
    assert shelf.held(shelf.by.embedder) == shelf.expected(shelf.by.embedder)
    assert shelf.held(shelf.by.embedder)[1] == {}


def test_of_new_images_milvus_is_asked_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it holds of them costs Lite a look at every row; only where something was lost is that worth it."""
    asked: list[int] = []
    captions_of = EmbeddingStore._captions_of

    def counting(store: EmbeddingStore, image_ids: Sequence[int]) -> Iterator[int]:
        asked.extend(image_ids)
        return captions_of(store, image_ids)

    monkeypatch.setattr(EmbeddingStore, "_captions_of", counting)
    shelf.add(3)
    first, second = shelf.add(2)
    shelf.write_caption(first, 5)
    shelf.publisher.drain()
    assert asked == []
    shelf.write_caption(second, 6)
    shelf.drop_captions(first)
    shelf.publisher.drain()
    assert asked == [first]
    assert shelf.held(shelf.by.embedder) == shelf.expected(shelf.by.embedder)


def test_an_embedding_that_can_no_longer_be_searched_goes(shelf: Shelf) -> None:
    """Changed to nothing that could be compared, nothing being deleted: Milvus forgets the one before."""
    image_id, other = shelf.add(2)
    shelf.publisher.drain()
    zero = bytes(2 * catalogue.DIMENSION)
    with shelf.sessions.begin() as session:
        session.execute(
            update(ImageEmbedding).where(ImageEmbedding.image_id == image_id).values(embedding=zero)
        )
        owner = select(Caption.id).where(Caption.image_id == other)
        session.execute(
            update(CaptionEmbedding).where(CaptionEmbedding.caption_id.in_(owner)).values(embedding=zero)
        )
    shelf.publisher.drain()
    images, captions = shelf.held(shelf.by.embedder)
    assert set(images) == {other}
    assert len(captions) == 1
    assert (images, captions) == shelf.expected(shelf.by.embedder)


def test_a_deleted_image_leaves_milvus(shelf: Shelf) -> None:
    """With its captions, and nobody else's."""
    gone, kept = shelf.add(2)
    shelf.publisher.drain()
    shelf.remove(gone)
    shelf.publisher.drain()
    assert set(shelf.held(shelf.by.embedder)[0]) == {kept}
    assert shelf.held(shelf.by.embedder) == shelf.expected(shelf.by.embedder)


def test_an_image_deleted_before_it_was_published(shelf: Shelf) -> None:
    """Nothing is made in Milvus for it, not even collections."""
    [image_id] = shelf.add()
    shelf.remove(image_id)
    shelf.publisher.drain()
    assert shelf.waiting() == 0
    assert shelf.held(shelf.by.embedder) == ({}, {})


def test_each_embedder_has_its_own(shelf: Shelf) -> None:
    """The image is indexed as soon as the embedder in effect is done, whatever others still have to say."""
    other = shelf.another_embedder()
    [image_id] = shelf.add()
    with shelf.sessions.begin() as session:
        models.settle(session, "embedder", shelf.by.embedder)
    shelf.embed_by(image_id, other, 7)
    one_by_one = Publisher(shelf.sessions, shelf.stores, chunk=1)
    assert one_by_one.step()
    assert shelf.states() == {"indexed"}
    assert shelf.waiting() == 1
    one_by_one.drain()
    for embedder_id in (shelf.by.embedder, other):
        assert shelf.held(embedder_id) == shelf.expected(embedder_id)
    assert shelf.held(other)[0].keys() == {image_id}


def test_an_image_waits_for_the_embedder_in_effect(shelf: Shelf) -> None:
    """What another embedder says of it is not what it is searched by."""
    other = shelf.another_embedder()
    [image_id] = shelf.add()
    shelf.embed_by(image_id, other, 7)
    with shelf.sessions.begin() as session:
        models.settle(session, "embedder", other)
        session.get_one(EmbeddingChange, (image_id, other)).queued_at = func.now()
    one_by_one = Publisher(shelf.sessions, shelf.stores, chunk=1)
    one_by_one.step()
    assert shelf.states() == {"annotated"}
    one_by_one.drain()
    assert shelf.states() == {"indexed"}


def test_while_milvus_is_away_nothing_is_lost(shelf: Shelf, tmp_path: Path) -> None:
    """It is said so, images stay where they are on the road, and go on from there."""
    shelf.add(2)
    away = Publisher(shelf.sessions, EmbeddingStores(f"unix:{tmp_path}/none.sock", timeout_s=1))
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        away.step()
    assert (shelf.states(), shelf.waiting()) == ({"annotated"}, 2)
    shelf.publisher.drain()
    assert (shelf.states(), shelf.waiting()) == ({"indexed"}, 0)


def test_lost_collections_are_made_again(shelf: Shelf) -> None:
    """A Milvus emptied under a running publisher: what comes is published, the rest is for `check --repair`."""
    shelf.add()
    shelf.publisher.drain()
    with shelf.sessions() as session:
        embedder = outbox.embedders(session, [shelf.by.embedder])[shelf.by.embedder]
    store = shelf.stores.existing(embedder)
    assert store is not None
    for channel in ("images", "captions"):
        store._milvus.call("drop_collection", store.collection(channel))
    [later] = shelf.add()
    impatient = Publisher(shelf.sessions, shelf.stores)
    assert impatient.step()
    impatient._aside.clear()
    impatient.drain()
    assert shelf.held(shelf.by.embedder)[0].keys() == {later}


def test_an_embedder_milvus_refuses_does_not_hold_up_the_others(shelf: Shelf) -> None:
    """Its collection holds vectors of another length: its changes wait, everybody else's go on."""
    [image_id] = shelf.add()
    other = shelf.another_embedder()
    with shelf.sessions() as session:
        embedder = outbox.embedders(session, [other])[other]
    shelf.stores.open(embedder, 4)
    shelf.stores.forget(embedder)
    shelf.embed_by(image_id, other, 7)
    shelf.publisher.drain()
    assert shelf.states() == {"indexed"}
    assert shelf.held(other)[0] == {}


@pytest.mark.parametrize("bad", [np.zeros(8), np.full(8, np.nan), np.ones(5)])
def test_an_embedding_that_cannot_be_compared_is_left_out(shelf: Shelf, bad: np.ndarray) -> None:
    """It would be no hit of anything; its neighbours are published, and it is no drift."""
    poisoned, healthy = shelf.add(2)
    packed = annotations.pack(bad[None])[0]
    with shelf.sessions.begin() as session:
        session.merge(ImageEmbedding(image_id=poisoned, annotator_id=shelf.by.embedder, embedding=packed))
    shelf.publisher.drain()
    assert shelf.waiting() == 0
    assert shelf.held(shelf.by.embedder)[0].keys() == {healthy}
    assert shelf.held(shelf.by.embedder) == shelf.expected(shelf.by.embedder)


def test_publishers_side_by_side_share_the_work(shelf: Shelf) -> None:
    """Four of them while images change under their hands: no image twice at once, and both stores end equal."""
    ids = shelf.add(60)
    finished = threading.Event()
    failures: list[BaseException] = []

    def publish() -> None:
        mine = Publisher(shelf.sessions, shelf.stores, chunk=7)
        try:
            while not finished.is_set():
                mine.step()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(3):
        for image_id in ids[::4]:
            shelf.embed_again(image_id, 100 * turn + image_id)
            shelf.write_caption(image_id, 7 * turn + image_id)
        shelf.remove(ids[turn + 1])
    finished.set()
    for thread in threads:
        thread.join()
    assert failures == []
    shelf.publisher.drain()
    assert shelf.held(shelf.by.embedder) == shelf.expected(shelf.by.embedder)
    assert (shelf.states(), shelf.waiting()) == ({"indexed"}, 0)


def test_a_change_waits_for_the_publishing_of_the_one_before(shelf: Shelf) -> None:
    """So that of two changes of an image the later can never be overtaken by the earlier."""
    [image_id] = shelf.add()
    shelf.publisher.drain()
    shelf.write_caption(image_id, 1)
    with shelf.sessions() as session:
        [change] = outbox.claim(session, 10)
        writer = threading.Thread(target=shelf.write_caption, args=(image_id, 2))
        writer.start()
        writer.join(0.3)
        assert writer.is_alive()
        assert outbox.settle(session, [change]) == 1
        session.commit()
    writer.join(5)
    assert not writer.is_alive()
    assert shelf.waiting() == 1


def test_an_image_somebody_holds_is_not_waited_for(shelf: Shelf) -> None:
    """It is published again when it is free, and marked then."""
    held, free = shelf.add(2)
    with shelf.sessions() as session:
        images.lock(session, [held])
        assert shelf.publisher.step()
        assert not shelf.publisher.step()
    assert shelf.waiting() == 1
    assert shelf.publisher.step()
    assert shelf.waiting() == 0
    assert shelf.held(shelf.by.embedder)[0].keys() == {held, free}


_DIE_BEFORE_COMMIT = """
import sys, time
from indexer.catalog import connection, outbox
from indexer.embeddings.stores import EmbeddingStores
from indexer.publishing import Publisher

def wait(*_):
    print("written", flush=True)
    time.sleep(60)

outbox.settle = wait
sessions = connection.sessions(connection.connect(sys.argv[1]))
Publisher(sessions, EmbeddingStores(sys.argv[2])).step()
"""


def test_killed_between_milvus_and_the_commit(
    shelf: Shelf, postgres_url: str, stack: local_stack.Endpoints
) -> None:
    """Its changes are free at once; published again, by somebody else, nothing is there twice."""
    shelf.add(4)
    command = [sys.executable, "-c", _DIE_BEFORE_COMMIT, postgres_url, stack.milvus_url]
    victim = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    assert victim.stdout.readline() == "written\n"
    assert len(shelf.held(shelf.by.embedder)[0]) == 4
    assert not shelf.publisher.step()
    kill(victim.pid)
    victim.wait()
    while not shelf.publisher.step():  # until Postgres has noticed
        pass
    assert (shelf.states(), shelf.waiting()) == ({"indexed"}, 0)
    assert shelf.held(shelf.by.embedder) == shelf.expected(shelf.by.embedder)


class Crash(BaseException):
    """A process ends here: Postgres takes back its transaction, Milvus keeps what it was told."""


@dataclass
class Interrupted(Publisher):
    """Ends after Milvus was told and before Postgres was."""

    def __init__(self, shelf: Shelf, chunk: int) -> None:
        super().__init__(shelf.sessions, shelf.stores, chunk)

    def _publish(self, session: Session, changes: Sequence[outbox.Change]) -> None:
        super()._publish(session, changes)
        raise Crash


def _crash(shelf: Shelf, chunk: int) -> None:
    with pytest.raises(Crash):
        Interrupted(shelf, chunk).step()


ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 3)),
    st.tuples(
        st.sampled_from(["embed_again", "write_caption", "embed_by"]), st.integers(0, 9), st.integers(0, 50)
    ),
    st.tuples(st.sampled_from(["drop_captions", "remove"]), st.integers(0, 9)),
    st.tuples(st.sampled_from(["publish", "crash"]), st.integers(1, 4)),
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ACTIONS, min_size=4, max_size=16))
def test_any_order_of_changes_publishing_and_crashes_ends_equal(
    sessions: sessionmaker[Session], stack: local_stack.Endpoints, actions: list[tuple]
) -> None:
    """Whatever is done to images between whatever is published or dies half-way."""
    shelf = open_shelf(sessions, stack.milvus_url)
    other = shelf.another_embedder()
    ids = shelf.add(2)
    for name, *values in actions:
        if name == "add":
            ids += shelf.add(*values)
        elif name == "publish":
            Publisher(shelf.sessions, shelf.stores, values[0]).step()
        elif name == "crash":
            _crash(shelf, values[0])
        elif name == "embed_by":
            shelf.embed_by(ids[values[0] % len(ids)], other, values[1])
        else:
            getattr(shelf, name)(ids[values[0] % len(ids)], *values[1:])
    shelf.publisher.drain()
    for embedder_id in (shelf.by.embedder, other):
        mine = shelf.expected(embedder_id)
        assert shelf.held(embedder_id) == mine
    assert shelf.waiting() == 0
    shelf.stores.close()
