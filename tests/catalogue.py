"""Small makers of rows, for tests of the catalogue and what stands on it."""

import hashlib
from itertools import count

import numpy as np
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from indexer.catalog import annotations, images
from indexer.tables import ANNOTATED, INDEXED, Image

_numbers = count(1)
DIMENSION = 8


def new_file(name: str | None = None, content: str | None = None, **changes: object) -> images.NewFile:
    """A file of its own content, unless told otherwise."""
    name = name or f"photo{next(_numbers)}.jpg"
    digest = hashlib.sha256((content or name).encode()).digest()
    facts = {"content_hash": digest, "bytes": 100, "kind": "path", "uri": f"file:///{name}", "modified_ns": 1}
    return images.NewFile(**{**facts, **changes})  # type: ignore[arg-type]


def annotators(session: Session) -> annotations.Annotators:
    """The rows three models and file metadata speak under."""
    kinds = ("tagger", "captioner", "embedder")
    ids = [annotations.annotator_id(session, kind, "test", "1") for kind in kinds]
    return annotations.Annotators(*ids, file=annotations.annotator_id(session, "file", "metadata"))


def embedding(seed: int) -> np.ndarray:
    """A unit vector (DIMENSION,) of its own."""
    row = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
    return row / np.linalg.norm(row)


def annotation(
    image_id: int, tags: dict[str, float] | None = None, **changes: object
) -> annotations.Annotation:
    """What models might say of an image."""
    packed = annotations.pack(np.stack([embedding(image_id), embedding(image_id + 10_000)]))
    facts = {
        "image_id": image_id,
        "format": "jpeg",
        "width": 640,
        "height": 480,
        "tags": list((tags or {}).items()),
        "caption": f"a picture of number {image_id}",
        "image_embedding": packed[0],
        "caption_embedding": packed[1],
    }
    return annotations.Annotation(**{**facts, **changes})  # type: ignore[arg-type]


def mark_indexed(session: Session, image_id: int) -> None:
    """Say that Milvus holds an image, whether or not it does."""
    done = update(Image).where(Image.id == image_id, Image.state == ANNOTATED)
    session.execute(done.values(state=INDEXED, indexed_at=func.now()))


def add_indexed(
    session: Session,
    tags: dict[str, float] | None = None,
    by: annotations.Annotators | None = None,
    **changes: object,
) -> int:
    """An image that has been through the whole pipeline; its id."""
    image_id = images.register(session, [new_file()])[0].image_id
    annotations.save(session, [annotation(image_id, tags, **changes)], by or annotators(session))
    mark_indexed(session, image_id)
    return image_id
