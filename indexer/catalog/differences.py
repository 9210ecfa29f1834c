"""How what a model on the shelf says differs from what the model in effect says."""

from dataclasses import dataclass

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session, aliased

from indexer.tables import Caption, ImageTag, ShelvedCaption, ShelvedTag, Tag


@dataclass(frozen=True)
class CaptionDiffers:
    """One image's caption by the model in effect and by the other."""

    image_id: int
    before: str
    after: str


def tags_gained(session: Session, new: int, old: int) -> dict[str, int]:
    """Of how many images the new tagger says a tag that the old one does not, by tag, most first."""
    said = aliased(ImageTag)
    known = exists().where(
        said.image_id == ShelvedTag.image_id, said.tag_id == ShelvedTag.tag_id, said.annotator_id == old
    )
    query = select(ShelvedTag.tag_id).where(ShelvedTag.annotator_id == new, ~known)
    return _counted(session, query)


def tags_lost(session: Session, new: int, old: int) -> dict[str, int]:
    """Of how many images the old tagger says a tag that the new one does not, by tag, most first.

    Only of images the new one has looked at, which are all but those nothing could be read of.
    """
    known = exists().where(
        ShelvedTag.image_id == ImageTag.image_id,
        ShelvedTag.tag_id == ImageTag.tag_id,
        ShelvedTag.annotator_id == new,
    )
    return _counted(session, select(ImageTag.tag_id).where(ImageTag.annotator_id == old, ~known))


def _counted(session: Session, tag_ids: Select[int]) -> dict[str, int]:
    counted = tag_ids.subquery()
    images = func.count()
    query = select(Tag.name, images).join(counted, counted.c.tag_id == Tag.id).group_by(Tag.name)
    return dict(session.execute(query.order_by(images.desc(), Tag.name)).all())


def captions_changed(
    session: Session, new: int, old: int, examples: int
) -> tuple[int, int, list[CaptionDiffers]]:
    """How many captions are compared, how many differ, and some that do."""
    both = select(Caption.image_id, Caption.text, ShelvedCaption.text).join(
        ShelvedCaption,
        (ShelvedCaption.image_id == Caption.image_id) & (ShelvedCaption.annotator_id == new),
    )
    mine = both.where(Caption.annotator_id == old)
    differing = mine.where(Caption.text != ShelvedCaption.text)
    compared, differ = (
        int(session.scalar(select(func.count()).select_from(q.with_only_columns(Caption.id).subquery())) or 0)
        for q in (mine, differing)
    )
    shown = session.execute(differing.order_by(Caption.image_id).limit(examples))
    return compared, differ, [CaptionDiffers(*row) for row in shown]


def some_captions(session: Session, annotator_id: int, most: int) -> list[str]:
    """Captions of a captioner from all over the library, each text once, at most `most`."""
    count = session.scalar(select(func.count()).where(Caption.annotator_id == annotator_id)) or 0
    every = max(1, int(count) // most)
    numbered = (
        select(Caption.text, func.row_number().over(order_by=Caption.image_id).label("number"))
        .where(Caption.annotator_id == annotator_id)
        .subquery()
    )
    query = select(numbered.c.text).where(numbered.c.number % every == 0).order_by(numbered.c.number)
    return list(dict.fromkeys(session.scalars(query.limit(most))))
