"""What Milvus should hold, a stretch of images at a time."""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from indexer.catalog.annotations import StoredEmbeddings
from indexer.tables import (
    ANNOTATED,
    INDEXED,
    Caption,
    CaptionEmbedding,
    EmbeddingChange,
    Image,
    ImageEmbedding,
)


def stretch_end(session: Session, low: int, images: int) -> int | None:
    """The id after the stretch of so many images that begins at `low`; `None` if there are no more than that."""
    last = select(Image.id).where(Image.id >= low).order_by(Image.id).offset(images).limit(1)
    return session.scalar(last)


def stored_between(session: Session, embedder_id: int, low: int, high: int) -> StoredEmbeddings:
    """Embeddings of the images with `low` <= id < `high` and of their captions, as `annotations.embeddings`."""
    images = session.execute(
        select(ImageEmbedding.image_id, ImageEmbedding.embedding).where(
            ImageEmbedding.image_id >= low,
            ImageEmbedding.image_id < high,
            ImageEmbedding.annotator_id == embedder_id,
        )
    )
    captions = session.execute(
        select(Caption.id, Caption.image_id, CaptionEmbedding.embedding)
        .join(CaptionEmbedding, CaptionEmbedding.caption_id == Caption.id)
        .where(Caption.image_id >= low, Caption.image_id < high, CaptionEmbedding.annotator_id == embedder_id)
    )
    return StoredEmbeddings(
        {image_id: bytes(value) for image_id, value in images},
        {caption_id: (image_id, bytes(value)) for caption_id, image_id, value in captions},
    )


def not_embedded(session: Session, embedder_id: int, low: int, high: int) -> list[int]:
    """Indexed images of the stretch that this embedder has not embedded: words do not find them."""
    embedded = exists().where(ImageEmbedding.image_id == Image.id, ImageEmbedding.annotator_id == embedder_id)
    query = select(Image.id).where(Image.id >= low, Image.id < high, Image.state == INDEXED, ~embedded)
    return list(session.scalars(query))


def not_marked(session: Session, embedder_id: int, low: int, high: int) -> list[int]:
    """Images of the stretch that this embedder has embedded and that wait for nothing, but are not noted as indexed."""
    embedded = exists().where(ImageEmbedding.image_id == Image.id, ImageEmbedding.annotator_id == embedder_id)
    waiting = exists().where(EmbeddingChange.image_id == Image.id)
    query = select(Image.id).where(
        Image.id >= low, Image.id < high, Image.state == ANNOTATED, embedded, ~waiting
    )
    return list(session.scalars(query))
