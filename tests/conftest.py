"""What many tests share: real servers in a home of their own, started once for the whole run."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import local_stack
from indexer.settings import Settings

ROOT = Path(__file__).parent.parent

# Ends with its input, that is with pytest, however pytest ends; then nothing may be left behind.
_CARETAKER = """
import shutil, sys
from pathlib import Path
from indexer import local_stack
sys.stdin.read()
for home in map(Path, sys.argv[1:]):
    local_stack.stop(home)
    shutil.rmtree(home)
"""


def caretaker(home: Path) -> "subprocess.Popen[bytes]":
    """Stops and removes `home` once its standard input closes, even because pytest was killed."""
    return subprocess.Popen(
        [sys.executable, "-c", _CARETAKER, str(home)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture(scope="session")
def stack_home() -> Iterator[Path]:
    """A private home; whatever runs there is ended and its files are removed after the tests."""
    home = Path(tempfile.mkdtemp(prefix="sightline-tests-")).resolve()
    warden = caretaker(home)
    yield home
    warden.communicate(timeout=90)


@pytest.fixture(scope="session")
def stack_settings(stack_home: Path) -> Settings:
    """Settings without any URL: everything is private to `stack_home`."""
    return Settings(home=stack_home, postgres_url=None, redis_url=None, milvus_url=None, storage_url=None)


@pytest.fixture(scope="session")
def stack(stack_settings: Settings) -> local_stack.Endpoints:
    """Real Postgres, Redis and Milvus Lite, shared by all tests: keep your rows and keys apart."""
    return local_stack.endpoints(stack_settings)
