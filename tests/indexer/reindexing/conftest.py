"""A library of a few photographs with its models in effect, and second models to change to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from indexer import local_stack
from indexer.decoding import DecodePool
from indexer.reindexing.in_effect import Choice
from tests.changing import SMALL, Changing, open_library
from tests.other_models import install_other


@pytest.fixture(scope="session")
def models_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a second tagger, captioner and embedder."""
    return install_other(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def choice(models_home: Path) -> Choice:
    """The bundled models for a new library; the others are installed here too."""
    return Choice(SMALL, "cpu", "exact", models_home)


@pytest.fixture
def library(
    engine: Engine, stack: local_stack.Endpoints, pool: DecodePool, choice: Choice, tmp_path: Path
) -> Iterator[Changing]:
    """An empty library whose models in effect are the bundled ones."""
    library = open_library(engine, stack.milvus_url, pool, choice, str(tmp_path / "store"))
    yield library
    library.stores.close()
