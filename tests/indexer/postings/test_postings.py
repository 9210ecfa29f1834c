"""Sets kept by one process and asked by many threads while others write."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import edits, images
from indexer.postings import Postings
from indexer.postings import feed as feeds
from indexer.postings import view as views
from indexer.query import EVERYTHING, OneOf, Order, TagIs
from tests import catalogue

Sessions = sessionmaker[Session]


@pytest.fixture
def image_ids(sessions: Sessions, tag_ids: dict[str, int]) -> list[int]:
    """Five images with dogs."""
    with sessions.begin() as session:
        return [catalogue.add_indexed(session, {"dog": 0.9}) for _ in range(5)]


@pytest.fixture
def statements(sessions: Sessions) -> list[str]:
    """Every statement sent from now on, except those that are streamed."""
    sent: list[str] = []
    event.listen(
        sessions.kw["bind"], "before_cursor_execute", lambda c, cursor, statement, *_: sent.append(statement)
    )
    return sent


def _dogs(sessions: Sessions, postings: Postings, dog: TagIs) -> set[int]:
    with sessions() as session:
        return set(postings.view(session).matching(dog))


def test_opening_costs_nothing(statements: list[str]) -> None:
    """Nothing is asked before a view is."""
    Postings()
    assert statements == []


def test_one_condition_reads_one_condition(
    sessions: Sessions, postings: Postings, image_ids: list[int], dog: TagIs, statements: list[str]
) -> None:
    """A single tag does not load all of them; asking again reads nothing but what has changed."""
    assert _dogs(sessions, postings, dog) == set(image_ids)
    assert not postings._memory.holds("tag")
    statements.clear()
    assert _dogs(sessions, postings, dog) == set(image_ids)
    assert len(statements) == 1
    assert "image_changes" in statements[0]


def test_few_images_read_few_images(
    sessions: Sessions, postings: Postings, image_ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facets and pages of a small result are right without all of the library being read."""
    with sessions() as session:
        view = postings.view(session)
        counted = view.facets(EVERYTHING, None, ["tag", "year"])
        page = view.page(view.searchable, Order("taken"), 3)
        assert not any(postings._memory.holds(field) for field in ("tag", "year"))
        monkeypatch.setattr(views, "FEW", 2)
        assert view.facets(EVERYTHING, None, ["tag", "year"]) == counted
        assert view.page(view.searchable, Order("taken"), 3) == page
        assert all(postings._memory.holds(field) for field in ("tag", "year"))


def test_an_edit_is_in_the_next_view(
    sessions: Sessions, postings: Postings, image_ids: list[int], dog: TagIs
) -> None:
    """Both before and after all tags have been loaded; the revision grows with each."""
    for loaded, image_id in enumerate(image_ids[:2]):
        with sessions() as session:
            before = postings.view(session)
            assert image_id in before.matching(dog)
            if loaded:
                before.family("tag")
        with sessions.begin() as session:
            edits.make(session, [image_id], edits.Wish(remove=["dog"]))
        with sessions() as session:
            view = postings.view(session)
            assert image_id not in view.matching(dog)
            assert view.revision > before.revision


def test_nothing_changed_nothing_counted(
    sessions: Sessions, postings: Postings, image_ids: list[int]
) -> None:
    """The revision stays while nobody writes."""
    revisions = set()
    for _ in range(3):
        with sessions() as session:
            revisions.add(postings.view(session).revision)
    assert len(revisions) == 1


def test_a_view_stays_as_it_was(
    sessions: Sessions, postings: Postings, image_ids: list[int], dog: TagIs
) -> None:
    """What a view has said it says again, though a newer one has seen changes."""
    with sessions() as session:
        view = postings.view(session)
        before = view.matching(dog).copy()
        counted = view.facets(EVERYTHING, None, ["tag"])
        with sessions.begin() as other:
            images.remove(other, image_ids[:3])
        assert _dogs(sessions, postings, dog) == set(image_ids[3:])
        assert view.matching(dog) == before
        assert view.facets(EVERYTHING, None, ["tag"]) == counted


def test_a_late_commit_is_not_missed(
    sessions: Sessions, postings: Postings, image_ids: list[int], dog: TagIs
) -> None:
    """A transaction begun before one already seen, and committed after."""
    with sessions() as early:
        early.execute(text("SELECT pg_current_xact_id()"))
        with sessions.begin() as late:
            edits.make(late, [image_ids[0]], edits.Wish(remove=["dog"]))
        assert _dogs(sessions, postings, dog) == set(image_ids[1:])
        edits.make(early, [image_ids[1]], edits.Wish(remove=["dog"]))
        assert _dogs(sessions, postings, dog) == set(image_ids[1:])
        early.commit()
    assert _dogs(sessions, postings, dog) == set(image_ids[2:])


def test_what_is_not_committed_stays_ones_own(
    sessions: Sessions, postings: Postings, image_ids: list[int], dog: TagIs
) -> None:
    """A session sees its own writing; nobody else does, nor after it was rolled back."""
    assert _dogs(sessions, postings, dog) == set(image_ids)
    with sessions() as session:
        edits.make(session, [image_ids[0]], edits.Wish(remove=["dog"]))
        assert set(postings.view(session).matching(dog)) == set(image_ids[1:])
        assert _dogs(sessions, postings, dog) == set(image_ids)
        session.rollback()
    assert _dogs(sessions, postings, dog) == set(image_ids)


def test_renamed_collection(sessions: Sessions, postings: Postings, image_ids: list[int]) -> None:
    """No image has changed, and yet the old name finds none of them."""
    with sessions.begin() as session:
        session.execute(text("INSERT INTO collections (name) VALUES ('holiday')"))
        session.execute(
            text("INSERT INTO collection_images SELECT id, :image FROM collections"), {"image": image_ids[0]}
        )
    holiday, summer = OneOf("collection", ("holiday",)), OneOf("collection", ("summer",))
    with sessions() as session:
        assert set(postings.view(session).matching(holiday)) == {image_ids[0]}
    with sessions.begin() as session:
        session.execute(text("UPDATE collections SET name = 'summer'"))
    with sessions() as session:
        view = postings.view(session)
        assert set(view.matching(holiday)) == set()
        assert set(view.matching(summer)) == {image_ids[0]}
        assert [value.value for value in view.facets(EVERYTHING, None, ["collection"])["collection"]] == [
            "summer"
        ]


def test_many_changes_are_read_anew(
    sessions: Sessions, postings: Postings, image_ids: list[int], dog: TagIs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More changes than are remembered: everything is read again, and is right."""
    monkeypatch.setattr(feeds, "MOST_CHANGES", 2)
    with sessions() as session:
        assert len(postings.view(session).family("tag").get(dog.tag_id or 0)) == 5
    with sessions.begin() as session:
        images.remove(session, image_ids[:4])
    with sessions() as session:
        view = postings.view(session)
        assert postings._memory.feed.changed(0, view.revision) is None
        assert set(view.matching(dog)) == {image_ids[4]}
        assert set(view.family("tag").get(dog.tag_id or 0)) == {image_ids[4]}


def test_room_is_bounded(sessions: Sessions, image_ids: list[int], tag_ids: dict[str, int]) -> None:
    """Conditions used least recently give way."""
    postings = Postings(kept_bytes=1)
    with sessions() as session:
        view = postings.view(session)
        for name, tag_id in tag_ids.items():
            assert set(view.matching(TagIs(name, tag_id=tag_id))) == (
                set(image_ids) if name == "dog" else set()
            )
    assert len(postings._memory._recent) == 1


def _together(works: list[Callable[[], None]]) -> None:
    """Run all at once; the first error of any is raised."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_threads_that_write_and_threads_that_search(
    sessions: Sessions, postings: Postings, image_ids: list[int], tag_ids: dict[str, int]
) -> None:
    """Everything committed before a view was taken is in it, however many look and write at once."""
    committed: dict[str, set[int]] = {"cat": set(), "red": set()}
    writing = threading.Event()

    def write(name: str, chosen: list[int]) -> None:
        for _ in range(8):
            for image_id in chosen:
                with sessions.begin() as session:
                    edits.make(session, [image_id], edits.Wish(add=[name]))
                with sessions.begin() as session:
                    edits.make(session, [image_id], edits.Wish(clear=[name]))
        for image_id in chosen:
            with sessions.begin() as session:
                edits.make(session, [image_id], edits.Wish(add=[name]))
            committed[name].add(image_id)
        writing.set()

    def search(load: bool) -> None:
        while True:
            ended = writing.is_set()
            for name, told in committed.items():
                expected = set(told)
                with sessions() as session:
                    view = postings.view(session)
                    found = view.matching(TagIs(name, tag_id=tag_ids[name]))
                    assert expected <= set(found)
                    if load:
                        assert found == view.family("tag").get(tag_ids[name]) & view.searchable
            if ended:
                return

    _together(
        [
            lambda: write("cat", image_ids[:2]),
            lambda: write("red", image_ids[2:]),
            lambda: search(load=False),
            lambda: search(load=True),
        ]
    )
    with sessions() as session:
        view = postings.view(session)
        for name, chosen in (("cat", image_ids[:2]), ("red", image_ids[2:])):
            assert set(view.matching(TagIs(name, tag_id=tag_ids[name]))) == set(chosen)
