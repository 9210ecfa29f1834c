"""What machines, people and files say is kept apart."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog import annotations, hits, images
from indexer.tables import ImageTag, Tag, TagName, VocabularyTag
from indexer.vocabulary import Vocabulary
from tests.catalogue import add_indexed, annotation, annotators, new_file


def _names(session: Session, image_id: int) -> set[tuple[str, str]]:
    return {(tag.kind, tag.name) for tag in hits.load(session, [image_id])[0].tags}


def test_saving_again_replaces_machine_rows_only(session: Session) -> None:
    """A second run of the tagger replaces the first; a person's rows stay."""
    image_id = add_indexed(session, {"dog": 0.9, "grass": 0.7})
    person = annotations.annotator_id(session, "person", "ann")
    dog = session.scalar(select(Tag.id).where(Tag.name == "dog"))
    session.execute(insert(ImageTag).values(image_id=image_id, tag_id=dog, annotator_id=person, confidence=1))
    annotations.save(session, [annotation(image_id, {"cat": 0.8})], annotators(session))
    assert _names(session, image_id) == {("tagger", "cat"), ("person", "dog")}


def test_a_new_tagger_version_replaces_the_old_one(session: Session) -> None:
    """Old machine rows do not linger beside new ones."""
    image_id = add_indexed(session, {"dog": 0.9})
    by = annotators(session)
    newer = annotations.Annotators(
        annotations.annotator_id(session, "tagger", "test", "2"),
        annotations.annotator_id(session, "captioner", "test", "2"),
        by.embedder,
        by.file,
    )
    annotations.save(session, [annotation(image_id, {"wolf": 0.9})], newer)
    view = hits.load(session, [image_id])[0]
    assert [(tag.name, tag.version) for tag in view.tags] == [("wolf", "2")]
    assert [caption.version for caption in view.captions] == ["2"]


def test_file_keywords_are_statements_of_their_own(session: Session) -> None:
    """A keyword in the file and the same tag by the model are two rows."""
    image_id = add_indexed(session, {"dog": 0.6}, keywords=("Dog", "Rex"))
    assert _names(session, image_id) == {("tagger", "dog"), ("file", "dog"), ("file", "rex")}


def test_a_deleted_image_does_not_spoil_its_batch(session: Session) -> None:
    """An image removed while models worked is passed over."""
    gone, kept = (row.image_id for row in images.register(session, [new_file(), new_file()]))
    images.remove(session, [gone])
    by = annotators(session)
    assert list(annotations.save(session, [annotation(gone), annotation(kept)], by)) == [kept]


def test_embeddings_come_back_as_saved(session: Session) -> None:
    """Milvus can be filled again from Postgres."""
    image_id = add_indexed(session)
    stored = annotations.embeddings(session, [image_id], annotators(session).embedder)
    assert stored.images[image_id] == annotation(image_id).image_embedding
    assert [owner for owner, _ in stored.captions.values()] == [image_id]


def test_vocabulary_is_saved_once(session: Session) -> None:
    """Tags and thresholds of a tagger version; a second save changes nothing."""
    by = annotators(session)
    tags = ("dog", "traffic light")
    known = Vocabulary(tags, (0.5, 0.25), {"zh": ("狗", "红绿灯")}, {"hound": "dog"})
    annotations.save_vocabulary(session, by.tagger, known)
    annotations.save_vocabulary(session, by.tagger, Vocabulary(("dog",), (0.9,)))
    thresholds = session.scalars(select(VocabularyTag.threshold).order_by(VocabularyTag.threshold)).all()
    assert thresholds == [0.25, 0.5]
    names = session.execute(select(TagName.language, TagName.name, Tag.name).join(Tag)).all()
    assert set(names) == {("zh", "狗", "dog"), ("zh", "红绿灯", "traffic light"), ("", "hound", "dog")}


@given(arrays.arrays(np.float32, (2, 5), elements=st.floats(-1, 1, width=16)))
def test_packing_keeps_half_precision(rows: np.ndarray) -> None:
    """Values that fit float16 survive exactly."""
    back = np.stack([annotations.unpack(value) for value in annotations.pack(rows)])
    assert np.array_equal(back, rows)
