"""A home for tests that start one small process."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import local_stack
from indexer.local_stack import home as homes


@pytest.fixture
def small_home() -> Iterator[Path]:
    """A prepared home for a test that starts one small process."""
    with tempfile.TemporaryDirectory(prefix="sightline-tests-") as name:
        home = homes.prepare(Path(name))
        yield home
        local_stack.stop(home)
