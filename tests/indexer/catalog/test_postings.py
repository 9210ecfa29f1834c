"""Image ids by what is known of the images."""

from datetime import datetime

import numpy as np
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import collections, conditions, edits, images, postings, tags
from indexer.catalog.postings import SIZES, Field, Key
from indexer.query import Between, OneOf, TagIs
from indexer.tables import CollectionImage, Image
from tests import catalogue

BYTES = (0, 1023, 1024, 1279, 1280, 5_000_000, 2**40)


@pytest.fixture
def image_ids(sessions: sessionmaker[Session]) -> list[int]:
    """Seven images: tags by a model, a file and a person, some of whom disagree; one cannot be searched."""
    with sessions.begin() as session:
        by = catalogue.annotators(session)
        found = []
        for number, size in enumerate(BYTES):
            facts = {"taken_at": datetime(2020 + number % 3, 12, 31, 23, 59) if number else None}
            facts |= {"format": "png" if number % 2 else "jpeg", "keywords": ["dog"] if number < 2 else []}
            image_id = catalogue.add_indexed(
                session, {"dog": 0.8, "cat": 0.5} if number < 5 else {}, by, **facts
            )
            session.execute(update(Image).where(Image.id == image_id).values(bytes=size))
            found.append(image_id)
        edits.make(session, found[:1], edits.Wish(reject=["dog"]))
        edits.make(session, found[5:], edits.Wish(add=["dog"]))
        album = collections.create(session, "album")
        session.add_all(CollectionImage(collection_id=album, image_id=i) for i in found[2:4])
        images.reset(session, found[3:4], "annotated")
    return found


def _grouped(session: Session, field: Field, among: list[int] | None = None) -> dict[Key, set[int]]:
    found: dict[Key, set[int]] = {}
    for key, ids in postings.grouped(session, field, among):
        assert ids.dtype == np.int64
        found[key] = found.get(key, set()) | set(ids.tolist())
    return {key: ids for key, ids in found.items() if ids}


def test_tags(session: Session, image_ids: list[int]) -> None:
    """Whoever asserts them, unless a person rejects them; the same as asking for each."""
    found = _grouped(session, "tag")
    for name, tag_id in tags.find(session, ["dog", "cat"]).items():
        assert found[tag_id] == set(conditions.ids(session, TagIs(name, tag_id=tag_id)).tolist())
    assert found[tags.find(session, ["dog"])["dog"]] == set(image_ids[1:])


def test_years_formats_and_sources(session: Session, image_ids: list[int]) -> None:
    """The same searchable images as the conditions find."""
    searchable = set(postings.searchable(session).tolist())
    assert searchable == set(image_ids) - {image_ids[3]}

    def asked(leaf: Between | OneOf) -> set[int]:
        return set(conditions.ids(session, leaf).tolist()) & searchable

    years = _grouped(session, "year")
    assert set(years) == {2020, 2021, 2022}
    for year, ids in years.items():
        span = datetime(int(year), 1, 1), datetime(int(year) + 1, 1, 1)
        assert ids == asked(Between("taken", *span, high_open=True))
    for field in ("format", "source"):
        for value, ids in _grouped(session, field).items():  # type: ignore[arg-type]
            assert ids & searchable == asked(OneOf(field, (str(value),)))  # type: ignore[arg-type]
    assert set(_grouped(session, "format")) == {"jpeg", "png"}
    assert set(_grouped(session, "source")) == {"human", "model", "file"}


def test_collections(session: Session, image_ids: list[int]) -> None:
    """By id; the names beside."""
    found = _grouped(session, "collection")
    assert {postings.collection_names(session)[int(key)]: ids for key, ids in found.items()} == {
        "album": set(image_ids[2:4])
    }


def test_sizes(session: Session, image_ids: list[int]) -> None:
    """Each size is in the group whose bounds it lies between, at the bounds too."""
    of = dict(zip(image_ids, BYTES, strict=True))
    for group, ids in _grouped(session, "size").items():
        low = SIZES[int(group) - 1]
        high = SIZES[int(group)] if int(group) < len(SIZES) else 2**63
        assert all(low <= of[image_id] < high for image_id in ids)
    assert list(SIZES) == sorted(set(SIZES))


@pytest.mark.parametrize("field", ["tag", "year", "format", "source", "collection", "size"])
def test_some_images_only(session: Session, image_ids: list[int], field: Field) -> None:
    """The same as of everything, of these images."""
    among = [*image_ids[1:6:2], 10**9]
    everything = {key: ids & set(among) for key, ids in _grouped(session, field).items()}
    assert _grouped(session, field, among) == {key: ids for key, ids in everything.items() if ids}
    assert _grouped(session, field, []) == {}


def test_searchable_among(session: Session, image_ids: list[int]) -> None:
    """Those of them that can be searched; of none, none."""
    assert postings.searchable(session, image_ids[2:5]).tolist() == [image_ids[2], image_ids[4]]
    assert postings.searchable(session, []).size == 0


def test_confidences(session: Session, image_ids: list[int]) -> None:
    """The surest of those who assert it; rejected images are left out."""
    dog = tags.find(session, ["dog"])["dog"]
    ids, values = postings.confidences(session, dog)
    assert (ids.dtype, values.dtype) == (np.int64, np.float32)
    surely = dict(zip(ids.tolist(), values.tolist(), strict=True))
    assert surely == {
        image_id: pytest.approx(1.0 if number in (1, 5, 6) else 0.8)
        for number, image_id in enumerate(image_ids)
        if number
    }
    assert postings.confidences(session, dog, image_ids[:2])[0].tolist() == image_ids[1:2]
