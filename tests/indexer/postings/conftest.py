"""A catalogue with images of known tags, and sets kept over it."""

import pytest
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, tags
from indexer.catalog.corrections import PERSON
from indexer.postings import Postings
from indexer.query import TagIs
from tests import catalogue

TAGS = ("dog", "cat", "red", "snow", "traffic light")


@pytest.fixture
def postings() -> Postings:
    """Sets of an empty memory."""
    return Postings()


@pytest.fixture
def tag_ids(sessions: sessionmaker[Session]) -> dict[str, int]:
    """TAGS by name, known beforehand as those who speak of them are, so that writers need not wait for each other."""
    with sessions.begin() as session:
        annotations.annotator_id(session, "person", PERSON)
        catalogue.annotators(session)
        return tags.ensure(session, TAGS)


@pytest.fixture
def dog(tag_ids: dict[str, int]) -> TagIs:
    """The condition that a dog is shown."""
    return TagIs("dog", tag_id=tag_ids["dog"])
