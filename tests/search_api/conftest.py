"""The web application over a library of its own: real servers, the bundled models, real photographs."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import sightline
from indexer import local_stack
from indexer.cli.demo import bundled_photographs
from indexer.settings import Settings
from search_api.app import create_app
from tests.caretaker import caretaker
from tests.conftest import own_database
from tests.search_api.live import served
from tests.search_api.locked import Locked, locked
from workers.runtime import Runtime, build

NAMES = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg", "motorcycle_left.png", "china.jpg")


@pytest.fixture(scope="session")
def photographs() -> dict[str, bytes]:
    """Real photographs of different things, by file name."""
    return {path.name: path.read_bytes() for path in bundled_photographs() if path.name in NAMES}


@pytest.fixture(scope="session")
def web_settings() -> Iterator[Settings]:
    """A home apart from the other tests': what is searched here is what was uploaded here."""
    home = Path(tempfile.mkdtemp(prefix="sightline-web-")).resolve()
    warden = caretaker(home)
    yield Settings(
        home=home,
        postgres_url=None,
        redis_url=None,
        milvus_url=None,
        storage_url=None,
        images={"max_bytes": 2_000_000},
    )
    warden.communicate(timeout=90)


@pytest.fixture(scope="session")
def client(web_settings: Settings) -> Iterator[TestClient]:
    """The application as a program on the same machine reaches it."""
    app = create_app(web_settings)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def worker(client: TestClient, web_settings: Settings) -> Iterator[Runtime]:
    """A worker's belongings in this process, so that a test decides when it works."""
    runtime = build(web_settings)
    yield runtime
    runtime.close()


def bring(worker: Runtime, image_ids: Sequence[int]) -> None:
    """Look at images and publish what was found, as the worker's drains do."""
    worker.pipeline.index(image_ids)
    worker.publisher.drain()


@pytest.fixture(scope="session")
def library(client: TestClient, worker: Runtime, photographs: dict[str, bytes]) -> dict[str, int]:
    """The photographs, uploaded and indexed: image ids by file name."""
    files = [("file", (name, data)) for name, data in photographs.items()]
    taken = client.post("/v1/images", files=files).json()
    ids = {item["name"]: item["image_id"] for item in taken["items"]}
    bring(worker, sorted(ids.values()))
    return ids


@pytest.fixture(scope="session")
def address(library: dict[str, int], web_settings: Settings) -> Iterator[str]:
    """Where a server over the same library answers, for what speaks HTTP itself."""
    with served(web_settings) as found:
        yield found


@pytest.fixture
def api(address: str) -> Iterator[sightline.Client]:
    """The Python client of that server."""
    with sightline.Client(address) as api:
        yield api


@pytest.fixture(scope="module")
def doors(stack: local_stack.Endpoints, stack_settings: Settings, migrated_template: str) -> Iterator[Locked]:
    """A library with keys, its catalogue apart from the other tests'."""
    with own_database(stack.postgres_url, migrated_template) as url:
        own = {"postgres_url": url, "redis_url": stack.redis_url, "milvus_url": stack.milvus_url}
        with locked(Settings(home=stack_settings.home, **own)) as found:  # type: ignore[arg-type]
            yield found
