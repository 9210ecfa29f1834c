"""Alive, ready, how full; and what still works while a store is away."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from indexer.local_stack import endpoints
from indexer.settings import Settings
from search_api.app import create_app

NOWHERE = "127.0.0.1:9"


def _without(part: str, web_settings: Settings) -> Iterator[TestClient]:
    """The application over the same library, with one server's address leading nowhere."""
    servers = endpoints(web_settings)
    urls = {
        "postgres_url": servers.postgres_url,
        "redis_url": servers.redis_url,
        "milvus_url": servers.milvus_url,
    }
    urls |= {
        "postgres": {"postgres_url": f"postgresql://{NOWHERE}/nothing"},
        "redis": {"redis_url": f"redis://{NOWHERE}/0"},
        "milvus": {"milvus_url": f"http://{NOWHERE}"},
    }[part]
    settings = Settings(home=web_settings.home, **urls)
    with TestClient(
        create_app(settings), base_url="http://localhost", raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def without_milvus(library: dict[str, int], web_settings: Settings) -> Iterator[TestClient]:
    """Milvus is away."""
    yield from _without("milvus", web_settings)


@pytest.fixture(scope="module")
def without_redis(library: dict[str, int], web_settings: Settings) -> Iterator[TestClient]:
    """Redis is away."""
    yield from _without("redis", web_settings)


@pytest.fixture(scope="module")
def without_postgres(library: dict[str, int], web_settings: Settings) -> Iterator[TestClient]:
    """Postgres is away."""
    yield from _without("postgres", web_settings)


def test_all_is_well(client: TestClient, library: dict[str, int]) -> None:
    """With every server up each part is ok."""
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert all(part["ok"] for part in answer.json()["parts"].values())
    assert client.get("/healthz").json() == {"status": "ok"}


def test_stats_count_states(client: TestClient, library: dict[str, int]) -> None:
    """The library's counts, the queue's length and the size limit."""
    stats = client.get("/v1/stats").json()
    assert stats["images"]["indexed"] == len(library)
    assert stats["queued_tasks"] >= 0
    assert stats["max_bytes"] == 2_000_000


def test_searches_go_on_without_milvus(without_milvus: TestClient, library: dict[str, int]) -> None:
    """Browsing, tags and, from memory, words too; readiness says what is missing."""
    browsed = without_milvus.post("/v1/search", json={})
    assert browsed.json()["total"]["value"] == len(library)
    found = without_milvus.post("/v1/search", json={"text": "a cat", "all": True})
    assert len(found.json()["hits"]) == len(library)
    ready = without_milvus.get("/readyz")
    assert ready.status_code == 503
    assert [name for name, part in ready.json()["parts"].items() if not part["ok"]] == ["milvus"]


def test_searching_without_redis(
    without_redis: TestClient, library: dict[str, int], photographs: dict[str, bytes]
) -> None:
    """Search works, an upload says that it could not be queued, readiness is degraded."""
    assert without_redis.post("/v1/search", json={"text": "a cat"}).status_code == 200
    ready = without_redis.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert without_redis.get("/v1/stats").json()["queued_tasks"] is None
    answer = without_redis.delete(f"/v1/images/{library['coffee.png']}")
    assert (answer.status_code, answer.json()["service"]) == (503, "redis")


def test_alive_without_postgres(without_postgres: TestClient) -> None:
    """The process lives and every answer names Postgres, with no traceback and no password."""
    assert without_postgres.get("/healthz").status_code == 200
    assert without_postgres.get("/").status_code == 200
    for path in ("/v1/search", "/v1/tags", "/v1/stats", "/v1/images/1"):
        answer = without_postgres.get(path)
        assert (answer.status_code, answer.json()["service"]) == (503, "postgres")
    ready = without_postgres.get("/readyz").json()
    assert not ready["parts"]["postgres"]["ok"]
