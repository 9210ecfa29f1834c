"""Every name of every tag."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from indexer.catalog import spellings, tags
from indexer.tables import Tag, TagName


@pytest.fixture
def tag_ids(session: Session) -> dict[str, int]:
    """Two tags, one of them with a name in two languages."""
    ids = tags.ensure(session, ["dog", "cat"])
    names = [(ids["dog"], "de", "Hund"), (ids["dog"], "nl", "hond"), (ids["dog"], "af", "hond")]
    columns = ("tag_id", "language", "name")
    session.execute(insert(TagName), [dict(zip(columns, row, strict=True)) for row in names])
    return ids


def test_names(session: Session, tag_ids: dict[str, int]) -> None:
    """Own names by id, of those that exist; other names each once."""
    assert spellings.names(session, [tag_ids["cat"], 10**6]) == {tag_ids["cat"]: "cat"}
    assert sorted(spellings.own(session)) == sorted((tag_id, name) for name, tag_id in tag_ids.items())
    assert sorted(spellings.others(session)) == [(tag_ids["dog"], "Hund"), (tag_ids["dog"], "hond")]


@pytest.mark.parametrize(
    "write",
    [
        lambda session: tags.ensure(session, ["bird"]),
        lambda session: session.execute(delete(Tag).where(Tag.name == "cat")),
        lambda session: session.execute(update(Tag).where(Tag.name == "cat").values(name="kitten")),
        lambda session: session.execute(update(TagName).where(TagName.name == "Hund").values(name="Dogge")),
        lambda session: session.execute(delete(TagName).where(TagName.language == "af")),
    ],
)
def test_another_edition(
    session: Session, tag_ids: dict[str, int], write: Callable[[Session], object]
) -> None:
    """Told apart by any name added, changed or removed; the same while there is none."""
    before = spellings.edition(session)
    assert spellings.edition(session) == before
    write(session)
    assert spellings.edition(session) != before
