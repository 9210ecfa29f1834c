"""What people say of images in words of their own; `edits` has what they say of tags."""

import numpy as np
from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog import models, work
from indexer.catalog.annotations import annotator_id, pack
from indexer.errors import QueryError
from indexer.tables import Caption, CaptionEmbedding

# There are no accounts yet: everybody who reaches the server is one person.
PERSON = "you"


def write_caption(
    session: Session,
    image_id: int,
    text: str,
    embedder_id: int | None = None,
    embedding: np.ndarray | None = None,
) -> int:
    """A person's caption, replacing the one written before; the caption's id.

    With its embedding (D,) by the embedder in effect it is found by meaning at once; without one, or with one by an
    embedder that no longer is, as soon as a worker has embedded it, for which it is queued here.

    Raises:
        QueryError: it is white space only.
    """
    check_caption(text)
    row = {"image_id": image_id, "annotator_id": annotator_id(session, "person", PERSON), "text": text}
    caption = insert(Caption).values(row)
    changed = {"text": caption.excluded.text, "created_at": func.now()}
    caption_id = session.scalar(
        caption.on_conflict_do_update(index_elements=["image_id", "annotator_id"], set_=changed).returning(
            Caption.id
        )
    )
    assert caption_id is not None
    session.execute(delete(CaptionEmbedding).where(CaptionEmbedding.caption_id == caption_id))
    if embedder_id is not None and embedding is not None:
        values = {
            "caption_id": caption_id,
            "annotator_id": embedder_id,
            "embedding": pack(embedding[None])[0],
        }
        session.execute(insert(CaptionEmbedding).values(values))
    now = models.in_effect(session).get("embedder")
    if embedder_id is None or (now is not None and now.annotator_id != embedder_id):
        work.add(session, [image_id], priority=work.INTERACTIVE)
    return caption_id


def check_caption(text: str) -> None:
    """Raises QueryError for a caption that is white space only: first on its image, it would stand there as nothing."""
    if not text.strip():
        raise QueryError("A caption needs words; to have none of your own, take back the one you wrote.")


def take_back_caption(session: Session, image_id: int) -> None:
    """Forget the person's caption if there is one, with its embeddings: what models said is shown first again."""
    mine = annotator_id(session, "person", PERSON)
    session.execute(delete(Caption).where(Caption.image_id == image_id, Caption.annotator_id == mine))
