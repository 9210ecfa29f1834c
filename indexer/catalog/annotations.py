"""What models, people and files say of images.

A machine's rows are replaced by a machine's, never a person's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog import models
from indexer.catalog import tags as tag_catalog
from indexer.tables import (
    ANNOTATED,
    Annotator,
    Caption,
    CaptionEmbedding,
    Image,
    ImageEmbedding,
    ImageTag,
    Source,
    TagName,
    VocabularyTag,
)
from indexer.vocabulary import Vocabulary


@dataclass(frozen=True)
class Annotators:
    """The rows under which one worker's models, and files' metadata, speak."""

    tagger: int
    captioner: int
    embedder: int
    file: int


@dataclass(frozen=True)
class Annotation:
    """All that was found out about one image; embeddings are float16 bytes, tags are (name, confidence)."""

    image_id: int
    format: str
    width: int
    height: int
    tags: Sequence[tuple[str, float]]
    caption: str
    image_embedding: bytes
    caption_embedding: bytes
    taken_at: datetime | None = None
    title: str | None = None
    description: str | None = None
    place: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    keywords: Sequence[str] = field(default_factory=tuple)


def annotator_id(session: Session, kind: str, name: str, version: str = "") -> int:
    """The id of an annotator, created at first mention."""
    key = {"kind": kind, "name": name, "version": version}
    query = select(Annotator.id).filter_by(**key)
    found = session.scalar(query)
    if found is None:
        session.execute(insert(Annotator).values(**key).on_conflict_do_nothing())
        found = session.scalar(query)
    assert found is not None
    return found


def save_vocabulary(session: Session, tagger_id: int, vocabulary: Vocabulary) -> None:
    """Record a tagger's vocabulary: thresholds, aliases, names in other languages. Done once a version."""
    if session.scalar(select(VocabularyTag.tag_id).where(VocabularyTag.annotator_id == tagger_id).limit(1)):
        return
    thresholds = vocabulary.thresholds_by_name()
    ids = tag_catalog.ensure(session, list(thresholds))
    rows = [
        {"annotator_id": tagger_id, "tag_id": ids[name], "threshold": threshold}
        for name, threshold in thresholds.items()
    ]
    session.execute(insert(VocabularyTag).on_conflict_do_nothing(), rows)
    names = [
        {"tag_id": ids[tag], "language": language, "name": name}
        for tag, language, name in vocabulary.other_names()
    ]
    if names:
        session.execute(insert(TagName).on_conflict_do_nothing(), names)


def save(session: Session, annotations: Sequence[Annotation], by: Annotators) -> dict[int, int]:
    """Save a batch in the caller's transaction and move its images to `annotated`.

    Images deleted meanwhile are passed over. Returns the caption id of each image saved.

    Raises:
        ModelsChanged: other models are in effect by now; nothing is saved.
    """
    models.check_in_effect(session, {"tagger": by.tagger, "captioner": by.captioner, "embedder": by.embedder})
    alive = _lock_images(session, [item.image_id for item in annotations])
    kept = [item for item in annotations if item.image_id in alive]
    if not kept:
        return {}
    titles = _given_titles(session, [item.image_id for item in kept])
    session.execute(update(Image), [{**_facts(item), **titles.get(item.image_id, {})} for item in kept])
    _replace_tags(session, kept, by)
    captions = _replace_captions(session, kept, by)
    forget_embeddings(session, list(captions.values()), by.embedder)
    _save_embeddings(session, kept, captions, by)
    return captions


def _lock_images(session: Session, image_ids: Sequence[int]) -> set[int]:
    """Lock in id order, so that two workers holding the same batch wait rather than deadlock."""
    query = select(Image.id).where(Image.id.in_(image_ids)).order_by(Image.id).with_for_update()
    return set(session.scalars(query))


def _facts(item: Annotation) -> dict[str, object]:
    names = (
        "format",
        "width",
        "height",
        "taken_at",
        "title",
        "description",
        "place",
        "latitude",
        "longitude",
    )
    return {
        "id": item.image_id,
        "state": ANNOTATED,
        "error_code": None,
        "error_message": None,
        **{name: getattr(item, name) for name in names},
    }


def _given_titles(session: Session, image_ids: Sequence[int]) -> dict[int, dict[str, str | None]]:
    """What whoever brought these images calls them, which counts before what the files say."""
    rows = select(Source.image_id, Source.title).where(
        Source.image_id.in_(image_ids), Source.title.is_not(None)
    )
    return {
        image_id: {"title": title} for image_id, title in session.execute(rows.order_by(Source.id.desc()))
    }


def _replace_tags(session: Session, items: Sequence[Annotation], by: Annotators) -> None:
    machines = select(Annotator.id).where(Annotator.kind.in_(["tagger", "file"]))
    image_ids = [item.image_id for item in items]
    session.execute(
        delete(ImageTag).where(ImageTag.image_id.in_(image_ids), ImageTag.annotator_id.in_(machines))
    )
    names = {name for item in items for name, _ in item.tags} | {w for item in items for w in item.keywords}
    ids = tag_catalog.ensure(session, sorted(names))
    rows = {}
    for item in items:
        for name, confidence in item.tags:
            rows[item.image_id, ids[name], by.tagger] = confidence
        for name in item.keywords:
            rows[item.image_id, ids[name], by.file] = 1.0
    columns = ("image_id", "tag_id", "annotator_id")
    values = [
        {**dict(zip(columns, key, strict=True)), "confidence": confidence} for key, confidence in rows.items()
    ]
    if values:
        session.execute(insert(ImageTag).on_conflict_do_nothing(), values)


def _replace_captions(session: Session, items: Sequence[Annotation], by: Annotators) -> dict[int, int]:
    machines = select(Annotator.id).where(Annotator.kind == "captioner", Annotator.id != by.captioner)
    image_ids = [item.image_id for item in items]
    session.execute(
        delete(Caption).where(Caption.image_id.in_(image_ids), Caption.annotator_id.in_(machines))
    )
    rows = [
        {
            "image_id": item.image_id,
            "annotator_id": by.captioner,
            "text": item.caption,
            "guided_by": [name for name, _ in item.tags],
        }
        for item in items
    ]
    statement = insert(Caption).values(rows)
    replaced = {"text": statement.excluded.text, "guided_by": statement.excluded.guided_by}
    statement = statement.on_conflict_do_update(
        index_elements=["image_id", "annotator_id"], set_={**replaced, "created_at": func.now()}
    )
    saved = session.execute(statement.returning(Caption.image_id, Caption.id))
    return dict(saved.all())


def forget_embeddings(session: Session, caption_ids: Sequence[int], embedder_id: int) -> None:
    """Captions read otherwise now: what other embedders than this one made of them is of no use any more."""
    session.execute(
        delete(CaptionEmbedding).where(
            CaptionEmbedding.caption_id.in_(caption_ids), CaptionEmbedding.annotator_id != embedder_id
        )
    )


def _save_embeddings(
    session: Session, items: Sequence[Annotation], captions: Mapping[int, int], by: Annotators
) -> None:
    images = insert(ImageEmbedding).values(
        [{"image_id": i.image_id, "annotator_id": by.embedder, "embedding": i.image_embedding} for i in items]
    )
    texts = insert(CaptionEmbedding).values(
        [
            {
                "caption_id": captions[i.image_id],
                "annotator_id": by.embedder,
                "embedding": i.caption_embedding,
            }
            for i in items
        ]
    )
    for statement, key in ((images, "image_id"), (texts, "caption_id")):
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[key, "annotator_id"], set_={"embedding": statement.excluded.embedding}
            )
        )


@dataclass(frozen=True)
class StoredEmbeddings:
    """Embeddings of images and of their captions, by id, as float16 bytes."""

    images: dict[int, bytes]
    captions: dict[int, tuple[int, bytes]]


def embeddings(session: Session, image_ids: Sequence[int], embedder_id: int) -> StoredEmbeddings:
    """What Milvus should hold for these images, and for their captions as (image id, embedding)."""
    images = session.execute(
        select(ImageEmbedding.image_id, ImageEmbedding.embedding).where(
            ImageEmbedding.image_id.in_(image_ids), ImageEmbedding.annotator_id == embedder_id
        )
    )
    captions = session.execute(
        select(Caption.id, Caption.image_id, CaptionEmbedding.embedding)
        .join(CaptionEmbedding, CaptionEmbedding.caption_id == Caption.id)
        .where(Caption.image_id.in_(image_ids), CaptionEmbedding.annotator_id == embedder_id)
    )
    return StoredEmbeddings(
        {image_id: bytes(value) for image_id, value in images},
        {caption_id: (image_id, bytes(value)) for caption_id, image_id, value in captions},
    )


def pack(embeddings: np.ndarray) -> list[bytes]:
    """Embeddings (N, D) float32 -> N values as Postgres keeps them, float16 little-endian."""
    return [row.tobytes() for row in np.asarray(embeddings, "<f2")]


def unpack(packed: bytes) -> np.ndarray:
    """The inverse of `pack` for one embedding: float32 (D,)."""
    return np.frombuffer(packed, "<f2").astype(np.float32)
