"""A tag filter as SQL: which images show all of these, any of those, none of the others.

A tag is shown when a tagger (over its threshold), the file's metadata or a person asserts it and no
person has rejected it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from indexer.tables import INDEXED, Image, ImageTag


@dataclass(frozen=True)
class TagIds:
    """A tag filter whose names have been resolved; `min_confidence` (0..1) applies to `all` and `any`."""

    all: Sequence[int] = ()
    any: Sequence[int] = ()
    none: Sequence[int] = ()
    min_confidence: float = 0.0

    @property
    def empty(self) -> bool:
        """Whether every image passes."""
        return not (self.all or self.any or self.none)


def asserted(min_confidence: float = 0.0) -> Select[int, int, float]:
    """Rows (image_id, tag_id, confidence) of tags shown by images, at least so surely."""
    rejection = aliased(ImageTag)
    rejected = (
        select(rejection.image_id)
        .where(
            rejection.image_id == ImageTag.image_id, rejection.tag_id == ImageTag.tag_id, rejection.rejected
        )
        .exists()
    )
    query = select(ImageTag.image_id, ImageTag.tag_id, ImageTag.confidence).where(
        ImageTag.rejected.is_(False), ~rejected
    )
    return query if min_confidence <= 0 else query.where(ImageTag.confidence >= min_confidence)


def _showing(tag_ids: Sequence[int], min_confidence: float = 0.0) -> Select[int]:
    return asserted(min_confidence).where(ImageTag.tag_id.in_(tag_ids)).with_only_columns(ImageTag.image_id)


def matching(tags: TagIds) -> Select[int]:
    """Ids of searchable images that pass the filter."""
    query = select(Image.id).where(Image.state == INDEXED)
    for tag_id in tags.all:
        query = query.where(Image.id.in_(_showing([tag_id], tags.min_confidence)))
    if tags.any:
        query = query.where(Image.id.in_(_showing(tags.any, tags.min_confidence)))
    if tags.none:
        query = query.where(Image.id.not_in(_showing(tags.none)))
    return query


def matching_ids(session: Session, tags: TagIds) -> list[int]:
    """Ids of all images that pass, in no particular order."""
    return list(session.scalars(matching(tags)))


def count(session: Session, tags: TagIds) -> int:
    """How many images pass."""
    return session.scalar(select(func.count()).select_from(matching(tags).subquery())) or 0


def newest(session: Session, tags: TagIds, limit: int, offset: int) -> list[int]:
    """Ids of images that pass, the last added first."""
    return list(session.scalars(matching(tags).order_by(Image.id.desc()).limit(limit).offset(offset)))
