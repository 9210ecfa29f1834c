"""Every name of every tag: its own, other names and names in other languages."""

from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from indexer.tables import Tag, TagName

# Two lists of names that differ have, but for a chance in 2^64, different sums.
_EDITION = text(
    "SELECT tags.number, tags.sum, other.number, other.sum FROM"
    " (SELECT count(*) AS number, sum(hashtextextended(name, id)) AS sum FROM tags) AS tags,"
    " (SELECT count(*) AS number, sum(hashtextextended(name, tag_id)) AS sum FROM tag_names) AS other"
)


def edition(session: Session) -> tuple[object, ...]:
    """Something that is different once any name has been added, changed or removed."""
    return tuple(session.execute(_EDITION).one())


def names(session: Session, tag_ids: Sequence[int]) -> dict[int, str]:
    """Own names by tag id, of those that exist."""
    return dict(session.execute(select(Tag.id, Tag.name).where(Tag.id.in_(tag_ids))).all())


def own(session: Session) -> list[tuple[int, str]]:
    """(tag id, own name) of every tag."""
    return [(tag_id, name) for tag_id, name in session.execute(select(Tag.id, Tag.name))]


def others(session: Session) -> list[tuple[int, str]]:
    """(tag id, other name) of every tag that has any."""
    return [
        (tag_id, name) for tag_id, name in session.execute(select(TagName.tag_id, TagName.name).distinct())
    ]
