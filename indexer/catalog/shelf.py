"""What taggers and captioners that are not in effect have said of images: kept, and shown to nobody.

Image by image the statements of the model in effect and of one on the shelf change places. What people and files say
is not touched by any of this.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Delete, and_, delete, exists, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog import images, models
from indexer.catalog import tags as tag_catalog
from indexer.published import Kind
from indexer.tables import (
    Annotator,
    Caption,
    CaptionEmbedding,
    EmbeddingChange,
    ImageEmbedding,
    ImageTag,
    ModelInEffect,
    Reindex,
    ShelvedCaption,
    ShelvedImage,
    ShelvedTag,
)

Tags = Sequence[tuple[str, float]]


@dataclass(frozen=True)
class CaptionSaid:
    """A caption by a captioner not in effect, the tags that guided it, and its embedding (float16 bytes)."""

    text: str
    guided_by: Sequence[str]
    embedder_id: int
    embedding: bytes


def put_tags(session: Session, tagger_id: int, said: Mapping[int, Tags]) -> None:
    """Keep what a tagger says, by image: (tag, confidence). Images deleted meanwhile are passed over."""
    alive = _cleared(session, tagger_id, said, ShelvedTag)
    ids = tag_catalog.ensure(session, sorted({name for i in alive for name, _ in said[i]}))
    rows = {(i, ids[name]): confidence for i in alive for name, confidence in said[i]}
    values = [
        {"annotator_id": tagger_id, "image_id": i, "tag_id": t, "confidence": c} for (i, t), c in rows.items()
    ]
    if values:
        session.execute(insert(ShelvedTag), values)


def put_captions(session: Session, captioner_id: int, said: Mapping[int, CaptionSaid]) -> None:
    """Keep what a captioner says, by image. Images deleted meanwhile are passed over."""
    alive = _cleared(session, captioner_id, said, ShelvedCaption)
    values = [{"annotator_id": captioner_id, "image_id": i, **vars(said[i])} for i in alive]
    if values:
        session.execute(insert(ShelvedCaption), values)


def _cleared(session: Session, annotator_id: int, said: Mapping[int, Any], table: Any) -> list[int]:
    """Those of the images that exist, marked as looked at, with what was on the shelf of them removed."""
    alive = images.lock(session, list(said))
    session.execute(_taken_away(table, annotator_id, alive))
    marks = [{"annotator_id": annotator_id, "image_id": image_id} for image_id in alive]
    if marks:
        session.execute(insert(ShelvedImage).on_conflict_do_nothing(), marks)
    return alive


def waiting(session: Session, annotator_id: int, limit: int) -> list[int]:
    """Images of which statements of this annotator lie on the shelf, at most `limit`."""
    query = select(ShelvedImage.image_id).where(ShelvedImage.annotator_id == annotator_id)
    return list(session.scalars(query.order_by(ShelvedImage.image_id).limit(limit)))


def swap(session: Session, kind: Kind, image_ids: Sequence[int]) -> int:
    """Show what the model in effect has on the shelf of these images, and shelve what the one before it says.

    How many images changed hands; those somebody else has swapped meanwhile do not count.
    """
    row = models.in_effect(session)[kind]
    locked = images.lock(session, image_ids)
    on_shelf = select(ShelvedImage.image_id).where(
        ShelvedImage.annotator_id == row.annotator_id, ShelvedImage.image_id.in_(locked)
    )
    mine = list(session.scalars(on_shelf))
    if not mine:
        return 0
    exchange = _swap_tags if kind == "tagger" else _swap_captions
    exchange(session, row.annotator_id, row.previous_id, mine)
    session.execute(_taken_away(ShelvedImage, row.annotator_id, mine))
    if row.previous_id is not None:
        marks = [{"annotator_id": row.previous_id, "image_id": image_id} for image_id in mine]
        session.execute(insert(ShelvedImage).on_conflict_do_nothing(), marks)
    return len(mine)


def _swap_tags(session: Session, new: int, old: int | None, image_ids: Sequence[int]) -> None:
    if old is not None:
        columns = ["annotator_id", "image_id", "tag_id", "confidence"]
        said = select(ImageTag.annotator_id, ImageTag.image_id, ImageTag.tag_id, ImageTag.confidence).where(
            ImageTag.annotator_id == old, ImageTag.image_id.in_(image_ids)
        )
        session.execute(insert(ShelvedTag).from_select(columns, said).on_conflict_do_nothing())
    taggers = select(Annotator.id).where(Annotator.kind == "tagger", Annotator.id != new)
    session.execute(
        delete(ImageTag).where(ImageTag.image_id.in_(image_ids), ImageTag.annotator_id.in_(taggers))
    )
    kept = select(
        ShelvedTag.image_id, ShelvedTag.tag_id, ShelvedTag.annotator_id, ShelvedTag.confidence
    ).where(ShelvedTag.annotator_id == new, ShelvedTag.image_id.in_(image_ids))
    shown = insert(ImageTag).from_select(["image_id", "tag_id", "annotator_id", "confidence"], kept)
    session.execute(shown.on_conflict_do_nothing())
    session.execute(_taken_away(ShelvedTag, new, image_ids))


def _swap_captions(session: Session, new: int, old: int | None, image_ids: Sequence[int]) -> None:
    if old is not None:
        _shelve_captions(session, old, image_ids)
    captioners = select(Annotator.id).where(Annotator.kind == "captioner", Annotator.id != new)
    session.execute(
        delete(Caption).where(Caption.image_id.in_(image_ids), Caption.annotator_id.in_(captioners))
    )
    on_shelf = (ShelvedCaption.annotator_id == new, ShelvedCaption.image_id.in_(image_ids))
    kept = select(
        ShelvedCaption.image_id, ShelvedCaption.annotator_id, ShelvedCaption.text, ShelvedCaption.guided_by
    ).where(*on_shelf)
    columns = ["image_id", "annotator_id", "text", "guided_by"]
    session.execute(insert(Caption).from_select(columns, kept).on_conflict_do_nothing())
    embedded = (
        select(Caption.id, ShelvedCaption.embedder_id, ShelvedCaption.embedding)
        .join(
            ShelvedCaption,
            (ShelvedCaption.image_id == Caption.image_id)
            & (ShelvedCaption.annotator_id == Caption.annotator_id)
            & (ShelvedCaption.text == Caption.text),
        )
        .where(*on_shelf)
    )
    columns = ["caption_id", "annotator_id", "embedding"]
    session.execute(insert(CaptionEmbedding).from_select(columns, embedded).on_conflict_do_nothing())
    session.execute(_taken_away(ShelvedCaption, new, image_ids))


def _shelve_captions(session: Session, old: int, image_ids: Sequence[int]) -> None:
    """With the embedding in effect; a caption without one is made again when it is wanted again."""
    embedder = models.in_effect(session)["embedder"].annotator_id
    said = (
        select(literal(old), Caption.image_id, Caption.text, Caption.guided_by, literal(embedder))
        .add_columns(CaptionEmbedding.embedding)
        .join(CaptionEmbedding, CaptionEmbedding.caption_id == Caption.id)
        .where(
            Caption.annotator_id == old,
            Caption.image_id.in_(image_ids),
            CaptionEmbedding.annotator_id == embedder,
        )
    )
    columns = ["annotator_id", "image_id", "text", "guided_by", "embedder_id", "embedding"]
    session.execute(insert(ShelvedCaption).from_select(columns, said).on_conflict_do_nothing())


def _taken_away(table: Any, annotator_id: int, image_ids: Sequence[int]) -> Delete:
    return delete(table).where(table.annotator_id == annotator_id, table.image_id.in_(image_ids))


# --- forgetting


def forget(session: Session, kind: Kind, annotator_id: int, above: int, up_to: int) -> None:
    """Remove what a model not in effect has said of the images with `above` < id <= `up_to`.

    Milvus is not told embedding by embedding: the collection goes as a whole.
    """
    if kind == "embedder":
        images_of = (ImageEmbedding.image_id > above, ImageEmbedding.image_id <= up_to)
        session.execute(delete(ImageEmbedding).where(ImageEmbedding.annotator_id == annotator_id, *images_of))
        captions = select(Caption.id).where(Caption.image_id > above, Caption.image_id <= up_to)
        theirs = (CaptionEmbedding.annotator_id == annotator_id, CaptionEmbedding.caption_id.in_(captions))
        session.execute(delete(CaptionEmbedding).where(*theirs))
        changes = (EmbeddingChange.image_id > above, EmbeddingChange.image_id <= up_to)
        session.execute(delete(EmbeddingChange).where(EmbeddingChange.annotator_id == annotator_id, *changes))
        return
    for table in (ShelvedTag, ShelvedCaption, ShelvedImage):
        there = (table.image_id > above, table.image_id <= up_to)
        session.execute(delete(table).where(table.annotator_id == annotator_id, *there))


def forgettable(session: Session) -> list[tuple[Kind, int]]:
    """Models that have said something that is kept, and are neither in effect nor on their way to be."""
    kept = {
        "embedder": exists().where(ImageEmbedding.annotator_id == Annotator.id)
        | exists().where(CaptionEmbedding.annotator_id == Annotator.id),
        "tagger": exists().where(ShelvedImage.annotator_id == Annotator.id),
        "captioner": exists().where(ShelvedImage.annotator_id == Annotator.id),
    }
    coming = select(Reindex.annotator_id).where(Reindex.ended_at.is_(None))
    effective = select(ModelInEffect.annotator_id)
    # Until a change has settled, somebody may still be answering by the model before.
    left = (
        select(ModelInEffect.previous_id)
        .join(Reindex, Reindex.kind == ModelInEffect.kind)
        .where(Reindex.ended_at.is_(None), ModelInEffect.previous_id.is_not(None))
    )
    spoken = or_(*(and_(Annotator.kind == kind, rule) for kind, rule in kept.items()))
    rows = session.execute(
        select(Annotator.kind, Annotator.id)
        .where(spoken, *(Annotator.id.not_in(ids) for ids in (coming, effective, left)))
        .order_by(Annotator.id)
    )
    return [(cast("Kind", kind), annotator_id) for kind, annotator_id in rows]
