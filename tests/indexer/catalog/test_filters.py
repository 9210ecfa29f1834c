"""Tag filters against a plain Python reading of the same rule."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog import annotations, filters, images, tags
from indexer.errors import UnknownTag
from indexer.tables import ImageTag, TagName
from tests.catalogue import add_indexed, annotators, new_file

NAMES = ("dog", "cat", "grass")
tag_maps = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0.3, 0.6, 0.9]))
name_sets = st.lists(st.sampled_from(NAMES), unique=True, max_size=2)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(tag_maps, max_size=6), name_sets, name_sets, name_sets, st.sampled_from([0.0, 0.5, 0.8]))
def test_all_any_none_and_minimum_confidence(
    session: Session,
    library: list[dict[str, float]],
    all_: list[str],
    any_: list[str],
    none: list[str],
    least: float,
) -> None:
    """SQL finds exactly the images that the definition names."""
    with session.begin_nested() as savepoint:
        ids = tags.ensure(session, NAMES)
        shown = {add_indexed(session, tag_map): tag_map for tag_map in library}
        wanted = filters.TagIds(*([ids[n] for n in names] for names in (all_, any_, none)), least)
        expected = {
            image_id
            for image_id, found in shown.items()
            if all(found.get(n, -1) >= least for n in all_)
            and (not any_ or any(found.get(n, -1) >= least for n in any_))
            and not any(n in found for n in none)
        }
        assert set(filters.matching_ids(session, wanted)) == expected
        assert filters.count(session, wanted) == len(expected)
        savepoint.rollback()


def test_a_persons_no_outweighs_the_machine(session: Session) -> None:
    """A rejected tag neither shows nor excludes."""
    image_id = add_indexed(session, {"dog": 0.99})
    dog = tags.resolve(session, ["dog"])["dog"]
    person = annotations.annotator_id(session, "person", "ann")
    session.execute(
        insert(ImageTag).values(
            image_id=image_id, tag_id=dog, annotator_id=person, confidence=1, rejected=True
        )
    )
    assert filters.matching_ids(session, filters.TagIds(all=[dog])) == []
    assert filters.matching_ids(session, filters.TagIds(none=[dog])) == [image_id]
    assert tags.list_counts(session) == []


def test_unfinished_images_are_not_found(session: Session) -> None:
    """What Milvus does not hold yet is not promised."""
    images.register(session, [new_file()])
    assert filters.count(session, filters.TagIds()) == 0


def test_newest_first_and_paged(session: Session) -> None:
    """Browsing pages neither repeat nor skip."""
    ids = [add_indexed(session) for _ in range(5)]
    pages = [filters.newest(session, filters.TagIds(), 2, offset) for offset in (0, 2, 4)]
    assert [image_id for page in pages for image_id in page] == ids[::-1]


@pytest.mark.parametrize("spelling", ["traffic light", "Traffic_Light", "  traffic   light ", "ampel"])
def test_any_spelling_finds_the_tag(session: Session, spelling: str) -> None:
    """Case, underscores, spaces and names in other languages lead to one tag."""
    tag_id = tags.ensure(session, ["traffic light"])["traffic light"]
    session.execute(insert(TagName).values(tag_id=tag_id, language="de", name="Ampel"))
    assert tags.resolve(session, [spelling]) == {spelling: tag_id}


def test_an_unknown_tag_is_an_error_with_suggestions(session: Session) -> None:
    """Not an empty result."""
    tags.ensure(session, ["grass", "dog"])
    with pytest.raises(UnknownTag, match="grass") as caught:
        tags.resolve(session, ["gras"])
    assert caught.value.suggestions == ("grass",)


def test_counts_by_prefix_of_any_word(session: Session) -> None:
    """`li` finds `traffic light`; `%` and `_` are letters like others."""
    add_indexed(session, {"traffic light": 0.9, "dog": 0.8})
    add_indexed(session, {"dog": 0.8})
    annotators(session)
    assert [(row.name, row.images) for row in tags.list_counts(session)] == [("dog", 2), ("traffic light", 1)]
    assert [row.name for row in tags.list_counts(session, "LI")] == ["traffic light"]
    assert tags.list_counts(session, "%") == []
