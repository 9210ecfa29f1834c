"""What Milvus should hold, read in id order and bounded memory."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from indexer.tables import INDEXED, Caption, CaptionEmbedding, Image, ImageEmbedding

PAGE = 10_000


def indexed_image_ids(session: Session, embedder_id: int) -> Iterator[int]:
    """Ids of the images whose embedding by this embedder should be in Milvus, ascending."""
    query = (
        select(ImageEmbedding.image_id)
        .join(Image, Image.id == ImageEmbedding.image_id)
        .where(Image.state == INDEXED, ImageEmbedding.annotator_id == embedder_id)
        .order_by(ImageEmbedding.image_id)
        .execution_options(yield_per=PAGE)
    )
    yield from session.scalars(query)


def indexed_caption_ids(session: Session, embedder_id: int) -> Iterator[tuple[int, int]]:
    """(caption id, image id) of the captions whose embedding should be in Milvus, ascending by caption."""
    query = (
        select(Caption.id, Caption.image_id)
        .join(CaptionEmbedding, CaptionEmbedding.caption_id == Caption.id)
        .join(Image, Image.id == Caption.image_id)
        .where(Image.state == INDEXED, CaptionEmbedding.annotator_id == embedder_id)
        .order_by(Caption.id)
        .execution_options(yield_per=PAGE)
    )
    yield from session.execute(query)


def images_without_embedding(session: Session, embedder_id: int) -> list[int]:
    """Indexed images this embedder has not embedded: after a change of model they must be annotated again."""
    embedded = select(ImageEmbedding.image_id).where(ImageEmbedding.annotator_id == embedder_id)
    return list(session.scalars(select(Image.id).where(Image.state == INDEXED, Image.id.not_in(embedded))))
