"""Alive, ready, how full; and what still works while a store is away."""

import io
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import func, update

from indexer.local_stack import endpoints
from indexer.settings import Settings
from indexer.tables import WorkerProcess
from search_api.app import create_app
from tests.search_api.conftest import bring
from workers.runtime import Runtime

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


def _missing(client: TestClient, **body: object) -> dict[str, str]:
    """What a search says is missing, having looked just now."""
    client.app.state.services.condition.look()  # type: ignore[attr-defined]
    told = client.post("/v1/search", json=body)
    assert told.status_code == 200
    return {item["part"]: item["detail"] for item in told.json()["degraded"]}


def test_all_is_well(client: TestClient, library: dict[str, int], worker: Runtime) -> None:
    """With every server up and a worker alive each part is ok, and a search has nothing to add."""
    worker.presence.beat()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert all(part["ok"] for part in answer.json()["parts"].values())
    assert client.get("/healthz").json() == {"status": "ok"}
    assert _missing(client, text="a cat") == {}


def test_stats_count_states(client: TestClient, library: dict[str, int], worker: Runtime) -> None:
    """The library's counts, what waits and for whom, and the size limit."""
    worker.presence.beat()
    worker.publisher.drain()  # what tests before this one have changed
    stats = client.get("/v1/stats").json()
    assert stats["images"]["indexed"] == len(library)
    assert stats["queued_tasks"] >= 0
    assert stats["waiting"]["writes"] == 0
    assert stats["workers"] == 1
    assert stats["max_bytes"] == 2_000_000


def test_without_workers_it_is_said(client: TestClient, library: dict[str, int], worker: Runtime) -> None:
    """Searching goes on; who adds pictures learns why they do not come."""
    worker.presence.beat()
    with worker.sessions.begin() as session:
        session.execute(update(WorkerProcess).values(seen_at=func.now() - timedelta(minutes=2)))
    assert set(_missing(client, text="a cat")) == {"workers"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert client.get("/v1/stats").json()["workers"] == 0
    worker.presence.beat()
    assert _missing(client) == {}


def test_searches_go_on_without_milvus(
    without_milvus: TestClient, library: dict[str, int], worker: Runtime
) -> None:
    """Browsing, tags and, from memory or Postgres, words too; answers and readiness say what is missing."""
    worker.presence.beat()
    browsed = without_milvus.post("/v1/search", json={})
    assert browsed.json()["total"]["value"] == len(library)
    found = without_milvus.post("/v1/search", json={"text": "a cat", "all": True})
    assert len(found.json()["hits"]) == len(library)
    assert set(_missing(without_milvus)) == {"milvus"}
    assert "embeddings were compared without it" in _missing(without_milvus, text="a cat")["milvus"]
    ready = without_milvus.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert [name for name, part in ready.json()["parts"].items() if not part["ok"]] == ["milvus"]


def test_without_redis_nothing_stops(
    without_redis: TestClient, library: dict[str, int], worker: Runtime
) -> None:
    """Searches are answered and say so, uploads are taken in, deletions are done: Postgres is the queue."""
    worker.presence.beat()
    assert set(_missing(without_redis, text="a cat")) == {"redis"}
    ready = without_redis.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert without_redis.get("/v1/stats").json()["queued_tasks"] is None
    taken = without_redis.post("/v1/images", files={"file": ("new.png", _noise())})
    assert taken.status_code == 202
    [item] = taken.json()["items"]
    assert without_redis.get("/v1/stats").json()["waiting"]["index"] == 1
    bring(worker, [item["image_id"]])
    assert without_redis.get(f"/v1/images/{item['image_id']}").json()["state"] == "indexed"
    assert without_redis.delete(f"/v1/images/{item['image_id']}").status_code == 204


def _noise() -> bytes:
    pixels = np.random.default_rng(5).integers(0, 255, (40, 60, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_alive_without_postgres(without_postgres: TestClient) -> None:
    """The process lives and every answer names Postgres, with no traceback and no password."""
    assert without_postgres.get("/healthz").status_code == 200
    assert without_postgres.get("/").status_code == 200
    for path in ("/v1/search", "/v1/tags", "/v1/stats", "/v1/images/1"):
        answer = without_postgres.get(path)
        assert (answer.status_code, answer.json()["service"]) == (503, "postgres")
    ready = without_postgres.get("/readyz").json()
    assert not ready["parts"]["postgres"]["ok"]
