"""Tags by how they begin."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, text
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import images, tags
from indexer.postings import Completion, Postings
from indexer.postings.completion import TagIndex
from indexer.tables import TagName
from indexer.vocabulary import canonical
from tests import catalogue

Sessions = sessionmaker[Session]
NAMES = {1: "dog", 2: "dog house", 3: "hot dog", 4: "traffic light", 5: "doll", 6: "light"}
ALIASES = [(1, "Hund"), (1, "doggy"), (4, "Ampel"), (6, "Licht"), (3, "dog in a bun")]
COUNTS = {"dog": 5, "dog house": 2, "hot dog": 9, "traffic light": 1, "doll": 7, "light": 0}


def _find(prefix: str, limit: int = 10) -> list[Completion]:
    index = TagIndex(NAMES.items(), ALIASES)
    return index.find(canonical(prefix), np.array([COUNTS[name] for name in index.names]), limit)


def test_ranked() -> None:
    """The very name, then what begins so, then words within; each the commonest first."""
    assert [row.name for row in _find("dog")] == ["dog", "hot dog", "dog house"]
    assert [row.name for row in _find("do")] == ["hot dog", "doll", "dog", "dog house"]
    assert [row.name for row in _find("light")] == ["light", "traffic light"]


def test_says_by_which_other_name() -> None:
    """An alias is told only where the tag's own name does not do as well."""
    assert _find("hun") == [Completion("dog", 5, "Hund")]
    assert _find("dog")[0] == Completion("dog", 5)
    assert _find("dog")[1] == Completion("hot dog", 9, "dog in a bun")
    assert _find("AMPEL") == [Completion("traffic light", 1, "Ampel")]


def test_spelling_does_not_matter() -> None:
    """Case, underscores and spaces at the ends."""
    assert [row.name for row in _find(" Traffic_L")] == ["traffic light"]


def test_nothing_typed() -> None:
    """The commonest tags."""
    assert [row.name for row in _find("", limit=3)] == ["hot dog", "doll", "dog"]


def test_nothing_found() -> None:
    """No tag, no completion."""
    assert _find("zebra") == []


WORDS = st.lists(st.sampled_from(("a", "ab", "abc", "b", "ba")), min_size=1, max_size=3).map(" ".join)


@given(st.lists(WORDS, unique=True, max_size=12), st.lists(WORDS, max_size=6), WORDS | st.just(""))
def test_every_way_to_begin_is_found(names: list[str], others: list[str], prefix: str) -> None:
    """Of each tag: the best of all ways in which any of its names, or a word in one, begins so."""
    known = list(enumerate(names, 1))
    aliases = (
        [(1 + number % len(names), f"{other} x") for number, other in enumerate(others)] if names else []
    )
    counts = {name: len(name) % 3 for name in names}
    index = TagIndex(known, aliases)
    found = index.find(prefix, np.array([counts[name] for name in index.names], np.int64), 100)
    ranks = {}
    for tag_id, name in known:
        spelt = [name, *(alias for owner, alias in aliases if owner == tag_id)]
        best = min(_rank(spelling, prefix) for spelling in spelt)
        if best < 3:
            ranks[name] = best
    expected = sorted(ranks, key=lambda name: (ranks[name], -counts[name], name))
    assert [(row.name, row.count) for row in found] == [(name, counts[name]) for name in expected]


def _rank(name: str, prefix: str) -> int:
    if name == prefix:
        return 0
    if name.startswith(prefix):
        return 1
    return 2 if f" {prefix}" in name else 3


def test_counts_are_of_searchable_images(sessions: Sessions, postings: Postings) -> None:
    """As things stand now: after an image has gone, and after a new name."""
    with sessions.begin() as session:
        image_ids = [catalogue.add_indexed(session, {"dog": 0.9}) for _ in range(3)]
        images.reset(session, image_ids[:1], "annotated")
    with sessions() as session:
        assert postings.view(session).complete("dog") == [Completion("dog", 2)]
    with sessions.begin() as session:
        images.remove(session, image_ids[1:2])
        session.execute(
            insert(TagName).values(tag_id=tags.ensure(session, ["dog"])["dog"], language="de", name="Hund")
        )
    with sessions() as session:
        assert postings.view(session).complete("hund") == [Completion("dog", 1, "Hund")]
    with sessions.begin() as session:
        session.execute(text("UPDATE tag_names SET name = 'Köter'"))
    with sessions() as session:
        assert postings.view(session).complete("hund") == []
        assert postings.view(session).complete("kö") == [Completion("dog", 1, "Köter")]
