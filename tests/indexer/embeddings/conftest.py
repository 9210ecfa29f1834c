"""Stores in the Milvus of the tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import local_stack
from indexer.embeddings import EmbeddingStore
from indexer.settings import Settings
from tests.indexer.embeddings.known_rows import Filled, fill, open_store


@pytest.fixture(scope="module")
def private(stack_home: Path) -> Settings:
    """Private servers, whichever the others are: for what is about Milvus Lite alone."""
    return Settings(home=stack_home, postgres_url=None, redis_url=None, milvus_url=None)


@pytest.fixture(scope="module")
def lite(private: Settings) -> local_stack.Endpoints:
    """Where the private servers are."""
    return local_stack.endpoints(private)


@pytest.fixture
def store(stack: local_stack.Endpoints) -> Iterator[EmbeddingStore]:
    """An empty store."""
    opened = open_store(stack.milvus_url)
    opened.ensure()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def filled(stack: local_stack.Endpoints) -> Iterator[Filled]:
    """300 images with 900 captions."""
    with fill(open_store(stack.milvus_url)) as content:
        yield content
