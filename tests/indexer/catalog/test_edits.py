"""What a person says of many images at once, and taking it back."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import conditions, edits
from indexer.catalog.annotations import annotator_id
from indexer.catalog.corrections import PERSON
from indexer.catalog.edits import Wish
from indexer.catalog.tags import ensure
from indexer.errors import NotFound, QueryError, UnknownTag
from indexer.query import TagIs
from indexer.tables import EditItem, ImageTag, Tag, TagName
from tests.catalogue import add_indexed


def _showing(session: Session, name: str) -> set[int]:
    return set(conditions.ids(session, TagIs(name, tag_id=ensure(session, [name])[name])).tolist())


def _said(session: Session) -> set[tuple[int, str, bool]]:
    """Everything the person says: image, tag, whether it is shown."""
    rows = session.execute(
        select(ImageTag.image_id, Tag.name, ImageTag.rejected)
        .join(Tag, Tag.id == ImageTag.tag_id)
        .where(ImageTag.annotator_id == annotator_id(session, "person", PERSON))
    )
    return {(image_id, name, not rejected) for image_id, name, rejected in rows}


def _machine_rows(session: Session) -> set[tuple[object, ...]]:
    me = annotator_id(session, "person", PERSON)
    rows = select(ImageTag.image_id, ImageTag.tag_id, ImageTag.annotator_id, ImageTag.confidence)
    return {tuple(row) for row in session.execute(rows.where(ImageTag.annotator_id != me))}


def test_many_images_at_once(session: Session) -> None:
    """Tags are added and removed in one edit; models' rows stay, and undoing leaves no trace."""
    ids = [add_indexed(session, {"dog": 0.9, "cat": 0.4}) for _ in range(3)]
    machine = _machine_rows(session)
    made = edits.make(session, ids[:2], Wish(add=["My_Holiday"], remove=["dog"]))
    assert made.changed == dict.fromkeys(ids[:2], ("my holiday", "dog"))
    assert _showing(session, "my holiday") == set(ids[:2])
    assert _showing(session, "dog") == {ids[2]}
    assert _machine_rows(session) == machine
    assert edits.undo(session, made.edit_id or 0) == edits.Undone(restored=4, left=0)
    assert _said(session) == set()
    assert _showing(session, "dog") == set(ids)


def test_removing_speaks_only_where_the_tag_is_shown(session: Session) -> None:
    """An image nobody says shows the tag is left alone; `reject` speaks of it all the same."""
    dog, other = add_indexed(session, {"dog": 0.9}), add_indexed(session, {"cat": 0.9})
    assert set(edits.make(session, [dog, other], Wish(remove=["dog"])).changed) == {dog}
    assert set(edits.make(session, [dog, other], Wish(reject=["dog"])).changed) == {other}


def test_saying_it_again_changes_nothing(session: Session) -> None:
    """What has been said already makes no edit, and unknown images are named."""
    image_id = add_indexed(session)
    edits.make(session, [image_id], Wish(add=["sea"]))
    assert edits.make(session, [image_id, 10**12], Wish(add=["sea"])) == edits.Made(None, {}, (10**12,))


def test_undo_leaves_the_later_word(session: Session) -> None:
    """A statement a later edit changed is not touched; the rest is restored; again does nothing."""
    one, two = add_indexed(session), add_indexed(session)
    first = edits.make(session, [one, two], Wish(add=["sea"])).edit_id or 0
    edits.make(session, [one], Wish(reject=["sea"]))
    assert edits.undo(session, first) == edits.Undone(restored=1, left=1)
    assert _said(session) == {(one, "sea", False)}
    assert edits.undo(session, first) == edits.Undone(0, 0)


def test_taking_back_ones_word(session: Session) -> None:
    """`clear` leaves the models' word standing alone."""
    image_id = add_indexed(session, {"dog": 0.9})
    edits.make(session, [image_id], Wish(reject=["dog"]))
    assert _showing(session, "dog") == set()
    edits.make(session, [image_id], Wish(clear=["dog"]))
    assert (_said(session), _showing(session, "dog")) == (set(), {image_id})


def test_aliases_lead_to_their_tag(session: Session) -> None:
    """A tag is added under its own name whatever it is called, and two names of one tag are refused."""
    image_id = add_indexed(session, {"dog": 0.9})
    dog = ensure(session, ["dog"])["dog"]
    session.add(TagName(tag_id=dog, language="de", name="Hund"))
    session.flush()  # read by SQL below
    assert edits.make(session, [image_id], Wish(add=["hund"])).changed == {image_id: ("dog",)}
    with pytest.raises(QueryError, match="one tag"):
        edits.make(session, [image_id], Wish(add=["hund"], clear=["dog"]))


def test_a_tag_called_so_already_may_hold_a_comma(session: Session) -> None:
    """Vocabularies have such names; a new one would be cut apart by tables and is refused."""
    image_id = add_indexed(session, {"salt, pepper": 0.9})
    edits.make(session, [image_id], Wish(reject=["Salt, pepper"]))
    edits.make(session, [image_id], Wish(add=["salt, pepper"]))
    assert _said(session) == {(image_id, "salt, pepper", True)}
    with pytest.raises(QueryError, match="'salt, vinegar' reads as several tags"):
        edits.make(session, [image_id], Wish(add=["salt, vinegar"]))


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(), "which tags"),
        (Wish(add=[" _ "]), "needs a name"),
        (Wish(add=["sea"], remove=["Sea "]), "named twice"),
    ],
)
def test_wishes_that_make_no_sense(session: Session, wish: Wish, words: str) -> None:
    """Nothing, a nameless tag, and two things said of one tag are refused."""
    with pytest.raises(QueryError, match=words):
        edits.make(session, [add_indexed(session)], wish)


def test_unknown_names(session: Session) -> None:
    """Only a tag that is added may be new: a slip in the others is named; no edit has number 5."""
    image_id = add_indexed(session, {"dog": 0.9})
    with pytest.raises(UnknownTag, match="Did you mean dog"):
        edits.make(session, [image_id], Wish(remove=["dgo"]))
    with pytest.raises(NotFound, match="no edit 5"):
        edits.undo(session, 5)


def test_edits_are_listed_newest_first(session: Session) -> None:
    """With the tags and how many images; still there when the images are gone."""
    ids = [add_indexed(session) for _ in range(2)]
    edits.make(session, ids, Wish(add=["sea", "sand"]))
    last = edits.make(session, ids[:1], Wish(add=["sun"]))
    edits.undo(session, last.edit_id or 0)
    newest, older = edits.recent(session, 2)
    assert (newest.tags, newest.images, newest.undone_at is not None) == (("sun",), 1, True)
    assert (older.tags, older.images, older.undone_at) == (("sand", "sea"), 2, None)
    assert edits.recent(session, 2, before=newest.id) == [older]


def test_an_edit_tells_what_it_did_of_each_tag(session: Session) -> None:
    """Of edits made before that was kept only the tags are known."""
    image_id = add_indexed(session, {"dog": 0.9, "cat": 0.9})
    edits.make(session, [image_id], Wish(reject=["cat"]))
    edits.make(session, [image_id], Wish(add=["sea"], remove=["dog"], clear=["cat"]))
    [view] = edits.recent(session, 1)
    assert (view.added, view.rejected, view.cleared) == (("sea",), ("dog",), ("cat",))
    session.execute(update(EditItem).values(did=None))
    [view] = edits.recent(session, 1)
    assert (view.tags, view.added, view.rejected, view.cleared) == (("cat", "dog", "sea"), (), (), ())


SPOKEN = st.tuples(
    st.integers(0, 2), st.sampled_from(["add", "remove", "reject", "clear"]), st.sampled_from("ab")
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spoken=st.lists(SPOKEN, min_size=1, max_size=8))
def test_undoing_from_the_last_restores_each_state(
    sessions: sessionmaker[Session], spoken: list[tuple[int, str, str]]
) -> None:
    """However edits were made, taking them back from the last leads through every state there was."""
    with sessions() as session:
        ids = [add_indexed(session, {"a": 0.9}), add_indexed(session, {"b": 0.9}), add_indexed(session)]
        ensure(session, ["a", "b"])
        states: list[tuple[set[tuple[int, str, bool]], int]] = []
        for image, verb, tag in spoken:
            before = _said(session)
            made = edits.make(session, [ids[image]], Wish(**{verb: [tag]}))
            if made.edit_id is not None:
                states.append((before, made.edit_id))
        for before, edit_id in reversed(states):
            edits.undo(session, edit_id)
            assert _said(session) == before
        session.rollback()
