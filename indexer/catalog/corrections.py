"""What people say of images in words of their own; `edits` has what they say of tags."""

import numpy as np
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog.annotations import annotator_id, forget_embeddings, pack
from indexer.tables import Caption, CaptionEmbedding

# There are no accounts yet: everybody who reaches the server is one person.
PERSON = "you"


def write_caption(session: Session, image_id: int, text: str, embedder_id: int, embedding: np.ndarray) -> int:
    """A person's caption and its embedding (D,), replacing the one written before; the caption's id."""
    row = {"image_id": image_id, "annotator_id": annotator_id(session, "person", PERSON), "text": text}
    caption = insert(Caption).values(row)
    changed = {"text": caption.excluded.text, "created_at": func.now()}
    caption_id = session.scalar(
        caption.on_conflict_do_update(index_elements=["image_id", "annotator_id"], set_=changed).returning(
            Caption.id
        )
    )
    assert caption_id is not None
    forget_embeddings(session, [caption_id], embedder_id)
    values = {"caption_id": caption_id, "annotator_id": embedder_id, "embedding": pack(embedding[None])[0]}
    vector = insert(CaptionEmbedding).values(values)
    session.execute(
        vector.on_conflict_do_update(
            index_elements=["caption_id", "annotator_id"], set_={"embedding": vector.excluded.embedding}
        )
    )
    return caption_id
