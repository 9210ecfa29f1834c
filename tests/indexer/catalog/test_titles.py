"""Titles are found by their words."""

from importlib import import_module

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, literal, select, text, update
from sqlalchemy.orm import Session

from indexer.catalog import conditions, titles
from indexer.query import OneOf, parse
from indexer.tables import Image
from tests import catalogue
from tests.plans import Plans

TITLES = {
    "bag": "Newfeel Bag, Marine-Blue",
    "sofa": "Blue marine sofa",
    "socks": "KALENJI_Socks x2",
    "shoes": "Chaussures d’été « Newfeel »",
    "case": "新款iPhone手机壳",
    "wool": "100% wool",
    "signs": "!!!",
    "long": "w" * 900 + " end",
    "none": None,
}
PATTERNS = [
    ("newfeel", "bag shoes"),
    ("NEWFEEL", "bag shoes"),
    ("newfee", ""),
    ("new*", "bag shoes"),
    ("newfeel*", "bag shoes"),
    ("*feel", "bag shoes"),
    ("*ewf*", "bag shoes"),
    ("n*l", "bag shoes"),
    ('"marine blue"', "bag"),
    ("marine-blue", "bag"),
    ('"blue, marine!"', "sofa"),
    ('"marine * blue"', ""),
    ('"newfeel * blue"', "bag"),
    ('"newfeel bag marine blue"', "bag"),
    ('"bag newfeel"', ""),
    ("marine*", "bag sofa"),
    ("socks", "socks"),
    ('"kalenji socks"', "socks"),
    ("été", "shoes"),
    ("ÉTÉ", "shoes"),
    ('"D\'Été newfeel"', "shoes"),
    ("iphone", "case"),
    ("手机", "case"),
    ("机手", ""),
    ("手*", "case"),
    ("*壳", "case"),
    ("iphone手机", "case"),
    ("100%", "wool"),
    ("%", "wool"),
    ("_", "socks"),
    ("!", "signs"),
    ("w", ""),
    ("w" * 900, "long"),
    ("w" * 899, ""),
    ("w" * 120 + "*", "long"),
    ("kalenji,wool,*壳", "socks case wool"),
    ("*", "bag sofa socks shoes case wool long"),
]


def _add(session: Session, title: str | None) -> int:
    return catalogue.add_indexed(session, title=title)


def _found(session: Session, written: str, among: list[int] | None = None) -> set[int]:
    leaf = parse(f"title:{written}").filter
    assert isinstance(leaf, OneOf)
    return set(conditions.ids(session, leaf, among).tolist())


def test_titles_as_people_write_them(session: Session) -> None:
    """Whole words in any case next to one another, whatever signs are between; a * is anything."""
    ids = {name: _add(session, title) for name, title in TITLES.items()}
    for pattern, names in PATTERNS:
        expected = {ids[name] for name in names.split()}
        assert _found(session, pattern) == expected, pattern
        assert _found(session, pattern, list(ids.values())) == expected, pattern


def test_a_new_title_is_found_and_the_old_one_not(session: Session) -> None:
    """The index is Postgres's own affair."""
    image = _add(session, "newfeel bag")
    session.execute(update(Image).where(Image.id == image).values(title="kalenji bag"))
    assert _found(session, "newfeel") == set()
    assert _found(session, "kalenji") == {image}


words = st.sampled_from(
    ["a", "b", "Ab", "É", "狗", "壳", "-", " ", "  ", "'", "’", "_", ":", "&", "\\", "!", "1"]
)
written = st.lists(words | st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8).map(
    "".join
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(written, min_size=1, max_size=5), written.filter(str.strip), st.sampled_from(["", "*"]))
def test_any_title_by_any_pattern(session: Session, given_: list[str], pattern: str, star: str) -> None:
    """By the index or title by title: the same; a title is found by itself, and by how it begins."""
    session.execute(delete(Image))
    rows = [
        {"content_hash": bytes([n]) * 32, "bytes": 1, "title": title}
        for n, title in enumerate([*given_, pattern])
    ]
    ids = list(session.scalars(insert(Image).returning(Image.id, sort_by_parameter_order=True), rows))
    leaf = OneOf("title", (pattern + star,))
    found = set(conditions.ids(session, leaf).tolist())
    assert found == set(conditions.ids(session, leaf, ids).tolist())
    # After a sign a star asks for one more word.
    if "*" not in pattern and (not star or not f" {titles._written(pattern + star)}".endswith(" *")):
        assert ids[-1] in found


def test_postgres_and_the_module_take_the_same_for_words(session: Session) -> None:
    """The migration has its own copy of what it made the functions of."""
    migration = import_module("migrations.versions.0009_titles")
    assert (migration.UNSPACED, migration.BETWEEN) == (titles.UNSPACED, titles.BETWEEN)
    everything = "".join(map(chr, (*range(1, 0xD800), *range(0xE000, 0x10000))))
    for start in range(0, len(everything), 1000):
        part = everything[start : start + 1000].replace("*", "")
        made = session.scalar(select(func.title_text(literal(part))))
        assert made == session.scalar(select(func.lower(literal(f" {titles._written(part)} "))))


@pytest.mark.parametrize(
    ("pattern", "images"), [("1999", 1), ('"bag number 1999"', 1), ("number-1999*", 11), ("1999,2999", 2)]
)
def test_titles_are_read_from_an_index(session: Session, pattern: str, images: int) -> None:
    """Only those that have the words are looked at; of some images, these."""
    many = text(
        "INSERT INTO images (content_hash, bytes, title)"
        " SELECT sha256(n::text::bytea), 100, 'Newfeel bag, number ' || n FROM generate_series(1, 20000) AS n"
    )
    session.execute(many)
    session.execute(text("ANALYZE images"))
    with Plans(session) as plans:
        found = _found(session, pattern)
    assert len(found) == images
    assert "ix_images_title" in {step.index for step in plans.steps}
    assert "Seq Scan" not in {step.kind for step in plans.steps if step.table == "images"}
    with Plans(session) as plans:
        assert _found(session, pattern, list(found)) == found
    assert "pk_images" in {step.index for step in plans.steps}
