"""What a further model needs to know of images it has not seen, and keeping what it found."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog import images
from indexer.tables import Caption, CaptionEmbedding, ImageEmbedding, ImageTag, Tag


def unembedded_images(session: Session, embedder_id: int, image_ids: Sequence[int]) -> list[int]:
    """Those of the images this embedder has not embedded, ascending."""
    done = select(ImageEmbedding.image_id).where(
        ImageEmbedding.annotator_id == embedder_id, ImageEmbedding.image_id.in_(image_ids)
    )
    return sorted(set(image_ids) - set(session.scalars(done)))


def unembedded_captions(session: Session, embedder_id: int, image_ids: Sequence[int]) -> dict[int, str]:
    """The captions of these images, anybody's, this embedder has not embedded: texts by caption id."""
    done = exists().where(
        CaptionEmbedding.caption_id == Caption.id, CaptionEmbedding.annotator_id == embedder_id
    )
    query = select(Caption.id, Caption.text).where(Caption.image_id.in_(image_ids), ~done)
    return dict(session.execute(query.order_by(Caption.id)).all())


def save_image_embeddings(session: Session, embedder_id: int, found: Mapping[int, bytes]) -> None:
    """Keep embeddings (float16 bytes) by image; images deleted meanwhile are passed over."""
    rows = [
        {"image_id": i, "annotator_id": embedder_id, "embedding": found[i]}
        for i in images.lock(session, list(found))
    ]
    if rows:
        session.execute(insert(ImageEmbedding).values(rows).on_conflict_do_nothing())


def save_caption_embeddings(
    session: Session, embedder_id: int, texts: Mapping[int, str], found: Mapping[int, bytes]
) -> None:
    """Keep embeddings (float16 bytes) by caption, of those that still read as they did when they were embedded."""
    query = select(Caption.id, Caption.text).where(Caption.id.in_(found)).order_by(Caption.id)
    now = session.execute(query.with_for_update(read=True, key_share=True)).all()
    rows = [
        {"caption_id": i, "annotator_id": embedder_id, "embedding": found[i]}
        for i, text in now
        if text == texts[i]
    ]
    if rows:
        session.execute(insert(CaptionEmbedding).values(rows).on_conflict_do_nothing())


def tags_of(session: Session, tagger_id: int, image_ids: Sequence[int]) -> dict[int, list[str]]:
    """What a tagger in effect says of these images, by image, the surest first."""
    rows = session.execute(
        select(ImageTag.image_id, Tag.name)
        .join(Tag, Tag.id == ImageTag.tag_id)
        .where(ImageTag.image_id.in_(image_ids), ImageTag.annotator_id == tagger_id)
        .order_by(ImageTag.image_id, ImageTag.confidence.desc(), Tag.name)
    )
    found: dict[int, list[str]] = defaultdict(list)
    for image_id, name in rows:
        found[image_id].append(name)
    return found


def uncaptioned(session: Session, captioner_id: int, image_ids: Sequence[int]) -> list[int]:
    """Those of the images of which this captioner's caption is not shown, ascending."""
    done = select(Caption.image_id).where(
        Caption.annotator_id == captioner_id, Caption.image_id.in_(image_ids)
    )
    return sorted(set(image_ids) - set(session.scalars(done)))
