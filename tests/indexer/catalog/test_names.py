"""Names people use lead to tags."""

import pytest
from sqlalchemy import event, insert
from sqlalchemy.orm import Session

from indexer.catalog import collections, names, tags
from indexer.errors import QueryError, UnknownTag
from indexer.query import OneOf, TagIs, parse, to_text
from indexer.tables import TagName


@pytest.fixture
def known(session: Session) -> dict[str, int]:
    """A few tags with aliases and names in other languages; their ids."""
    own = [
        "dog",
        "traffic light",
        "light",
        "person",
        "t shirt",
        "box",
        "knife",
        "butterfly",
        "straw hat",
        "hat",
    ]
    ids = tags.ensure(session, own)
    rows = [
        ("dog", "", "canine"),
        ("dog", "zh", "狗"),
        ("dog", "de", "Hund"),
        ("traffic light", "zh", "交通灯"),
        ("light", "zh", "灯"),
        ("traffic light", "de", "Ampel"),
        ("box", "", "HaT"),
        ("butterfly", "fr", "straße"),
    ]
    values = [{"tag_id": ids[tag], "language": language, "name": name} for tag, language, name in rows]
    session.execute(insert(TagName), values)
    return ids


SPELLINGS = [
    ("tag:dog", "dog"),
    ("tag:DOG", "dog"),
    ("tag:canine", "dog"),
    ("tag:hund", "dog"),
    ("tag:狗", "dog"),
    ("tag:traffic_light", "traffic light"),
    ('tag:"Traffic  Light"', "traffic light"),
    ("tag:traffic-light", "traffic light"),
    ("tag:ampel", "traffic light"),
    ("tag:t-shirt", "t shirt"),
    ("tag:straße", "butterfly"),
    ("tag:hat", "hat"),
]


def test_every_name_finds_its_tag(session: Session, known: dict[str, int]) -> None:
    """Aliases, other languages, case, spaces and underscores; a tag's own name before an alias."""
    for written, own in SPELLINGS:
        assert names.resolve(session, parse(written)).filter == TagIs(own, tag_id=known[own]), written


def test_names_are_found_wherever_they_stand(session: Session, known: dict[str, int]) -> None:
    """In groups, negated, with confidences; the rest of the query stays as it was."""
    query = names.resolve(
        session, parse("red (狗,>=0.5 or -Ampel) taken:2024 order:size".replace("狗,", "狗:"))
    )
    assert to_text(query) == 'red (tag:dog,>=0.5 or -tag:"traffic light") taken:2024 order:size'


def test_an_unknown_name_is_told_with_its_place(session: Session, known: dict[str, int]) -> None:
    """With the nearest names, as the page needs them."""
    with pytest.raises(UnknownTag, match="Did you mean knife") as raised:
        names.resolve(session, parse("sharp tag:dog tag:knive"))
    assert (raised.value.position, raised.value.length) == (18, 5)
    with pytest.raises(UnknownTag) as raised:
        names.resolve(session, parse("tag:dog,knive,>=0.5"))
    assert (raised.value.position, raised.value.length) == (8, 5)
    assert raised.value.suggestions[0] == "knife"


def test_two_statements_at_most(session: Session, known: dict[str, int]) -> None:
    """However many names a query has, and however they are spelt."""
    statements: list[str] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *args: statements.append(args[2]))
    names.resolve(session, parse("(dog or canine or hund or ampel or light) -hat tag:knife,box"))
    assert len(statements) <= 2
    statements.clear()
    names.tags_in_text(session, "two dogs at a traffic light with knives and boxes")
    assert len(statements) == 1
    statements.clear()
    names.resolve(session, parse("a text and no tags"))
    assert not statements


def test_collections_go_by_their_own_names(session: Session) -> None:
    """Whatever the case; an unknown one is told with the nearest."""
    collections.create(session, "Summer 2024")
    query = names.resolve(session, parse('collection:"summer 2024"'))
    assert query.filter == OneOf("collection", ("Summer 2024",))
    with pytest.raises(QueryError, match="Did you mean Summer 2024"):
        names.resolve(session, parse('collection:"sumer 2024"'))


TEXTS: list[tuple[str, list[tuple[str, str]]]] = [
    ("two dogs", [("dog", "dogs")]),
    ("a dog at a Traffic Light", [("dog", "dog"), ("traffic light", "Traffic Light")]),
    ("light, traffic light", [("light", "light"), ("traffic light", "traffic light")]),
    ("the dog's straw hats", [("dog", "dog's"), ("straw hat", "straw hats")]),
    (
        "knives, boxes & butterflies",
        [("knife", "knives"), ("box", "boxes"), ("butterfly", "butterflies")],
    ),
    ("people in t-shirts", [("person", "people"), ("t shirt", "t-shirts")]),
    ("一只狗和交通灯", [("dog", "狗"), ("traffic light", "交通灯")]),
    ("ein Hund", [("dog", "Hund")]),
    ("hotdogs on the highway", []),
    ("", []),
]


def test_tags_are_found_in_free_text(session: Session, known: dict[str, int]) -> None:
    """The longest names at each place, plurals too, nothing inside another word."""
    for text, expected in TEXTS:
        found = names.tags_in_text(session, text)
        assert [(tag.name, text[tag.start : tag.end]) for tag in found] == expected, text
        assert [tag.tag_id for tag in found] == [known[name] for name, _ in expected]


def test_words_that_hardly_mean_anything_are_no_tags(session: Session) -> None:
    """Even where a vocabulary holds them; within a longer name they count."""
    ids = tags.ensure(session, ["in", "the", "out of focus"])
    found = names.tags_in_text(session, "in the street out of focus")
    assert [tag.tag_id for tag in found] == [ids["out of focus"]]
