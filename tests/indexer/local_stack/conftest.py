"""A home for tests that start one small process."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import local_stack
from indexer.local_stack import home as homes
from indexer.settings import Settings


@pytest.fixture
def small_home() -> Iterator[Path]:
    """A prepared home for a test that starts one small process."""
    with tempfile.TemporaryDirectory(prefix="sightline-tests-") as name:
        home = homes.prepare(Path(name))
        yield home
        local_stack.stop(home)


@pytest.fixture(scope="session")
def stack_settings(stack_home: Path) -> Settings:
    """Nothing but private servers: they are what these tests are about, whichever servers others are run against."""
    return Settings(home=stack_home, postgres_url=None, redis_url=None, milvus_url=None)


@pytest.fixture(scope="session")
def stack(stack_settings: Settings) -> local_stack.Endpoints:
    """The private servers of the tests' home."""
    return local_stack.endpoints(stack_settings)
