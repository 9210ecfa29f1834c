"""Tag names, aliases and counts."""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, process
from sqlalchemy import Select, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from indexer.errors import UnknownTag
from indexer.tables import ImageTag, ModelInEffect, Tag, TagName, VocabularyTag
from indexer.vocabulary import canonical

INSERT_ROWS = 10_000


@dataclass(frozen=True)
class TagCount:
    """A tag, how many images show it, and the threshold of the tagger that knows it, if one does: the one in
    effect before others.
    """

    name: str
    images: int
    threshold: float | None


def asserted() -> Select[int, int, float]:
    """Rows (image_id, tag_id, confidence) of tags shown by images: asserted, and rejected by nobody."""
    rejection = aliased(ImageTag)
    rejected = (
        select(rejection.image_id)
        .where(
            rejection.image_id == ImageTag.image_id, rejection.tag_id == ImageTag.tag_id, rejection.rejected
        )
        .exists()
    )
    return select(ImageTag.image_id, ImageTag.tag_id, ImageTag.confidence).where(
        ImageTag.rejected.is_(False), ~rejected
    )


def ensure(session: Session, names: Sequence[str]) -> dict[str, int]:
    """Ids of tags by the name given, creating those not seen before."""
    by_canonical = {name: canonical(name) for name in names}
    wanted = sorted(set(by_canonical.values()))
    ids = _ids(session, wanted)
    missing = [name for name in wanted if name not in ids]
    if missing:
        rows = [{"name": name} for name in missing]
        session.execute(insert(Tag).on_conflict_do_nothing(index_elements=["name"]), rows)
        ids |= _ids(session, missing)
    return {name: ids[key] for name, key in by_canonical.items()}


def _ids(session: Session, names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(names), INSERT_ROWS):
        part = names[start : start + INSERT_ROWS]
        found |= dict(session.execute(select(Tag.name, Tag.id).where(Tag.name.in_(part))).all())
    return found


def resolve(session: Session, names: Sequence[str]) -> dict[str, int]:
    """Ids of existing tags by the name given, which may be an alias, in any case, with `_` for a space.

    Raises:
        UnknownTag: with the nearest names.
    """
    found = find(session, names)
    for name in names:
        if name not in found:
            raise UnknownTag(name, suggest(session, canonical(name)))
    return found


def find(session: Session, names: Sequence[str]) -> dict[str, int]:
    """Ids of those names that are tags or lead to one: a tag's own name before an alias of another."""
    by_canonical = {name: canonical(name) for name in names}
    ids = _ids(session, sorted(set(by_canonical.values())))
    missing = sorted(set(by_canonical.values()) - ids.keys())
    spelt = func.lower(TagName.name)
    aliased = select(spelt, func.min(TagName.tag_id)).where(spelt.in_(missing)).group_by(spelt)
    ids |= dict(session.execute(aliased).all())
    return {name: ids[key] for name, key in by_canonical.items() if key in ids}


def suggest(session: Session, name: str, limit: int = 3) -> list[str]:
    """The existing tags nearest in spelling."""
    names = session.scalars(select(Tag.name)).all()
    near = process.extract(name, names, scorer=fuzz.ratio, limit=limit, score_cutoff=60)
    return [found for found, _, _ in near]


def list_counts(
    session: Session, prefix: str = "", limit: int = 100, offset: int = 0, used_only: bool = True
) -> list[TagCount]:
    """Tags by falling count, then name, with the number of images that show them.

    Args:
        session: an open session.
        prefix: only tags one of whose words starts so.
        limit: at most this many.
        offset: after this many.
        used_only: leave out tags no image shows.
    """
    counts = asserted().subquery()
    counted = (
        select(counts.c.tag_id, func.count(counts.c.image_id.distinct()).label("images"))
        .group_by(counts.c.tag_id)
        .subquery()
    )
    in_effect = select(ModelInEffect.annotator_id).where(ModelInEffect.kind == "tagger")
    threshold = (
        select(VocabularyTag.threshold)
        .where(VocabularyTag.tag_id == Tag.id)
        .order_by(VocabularyTag.annotator_id.in_(in_effect).desc(), VocabularyTag.annotator_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    images = func.coalesce(counted.c.images, 0)
    query = select(Tag.name, images, threshold).join(
        counted, counted.c.tag_id == Tag.id, isouter=not used_only
    )
    if key := canonical(prefix):
        escaped = key.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        query = query.where(or_(Tag.name.like(f"{escaped}%"), Tag.name.like(f"% {escaped}%")))
    rows = session.execute(query.order_by(images.desc(), Tag.name).limit(limit).offset(offset))
    return [TagCount(*row) for row in rows]


def other_names(session: Session, tag_ids: Sequence[int]) -> dict[int, list[str]]:
    """Aliases and names in other languages, by tag id."""
    found: dict[int, list[str]] = {}
    if tag_ids:
        rows = select(TagName.tag_id, TagName.name).where(TagName.tag_id.in_(tag_ids))
        for tag_id, name in session.execute(rows):
            found.setdefault(tag_id, []).append(name)
    return found
