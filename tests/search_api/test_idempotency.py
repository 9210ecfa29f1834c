"""A request sent twice is carried out once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text

from indexer.tables import Job
from search_api.idempotency import fingerprint_of
from tests.pictures import encoded, scene
from workers.runtime import Runtime


def _upload(client: TestClient, key: str | None, width: int, **fields: str):
    headers = {} if key is None else {"Idempotency-Key": key}
    files = {"file": ("a.png", encoded(scene(width, 50), "PNG"))}
    return client.post("/v1/images", files=files, data=fields, headers=headers)


def _jobs(worker: Runtime) -> int:
    with worker.sessions() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


@pytest.fixture
def no_trace(worker: Runtime):
    """Images a test adds are taken out again."""
    with worker.sessions() as session:
        before = set(session.scalars(text("SELECT id FROM images")))
    yield
    with worker.sessions() as session:
        after = set(session.scalars(text("SELECT id FROM images")))
    from indexer.removal import Remover

    Remover(worker.sessions, worker.storage).remove(sorted(after - before))


def test_the_same_request_gets_the_same_answer(client: TestClient, worker: Runtime, no_trace: None) -> None:
    """Sent again, though in a body with another boundary: the job of before, and no second one; said so."""
    before = _jobs(worker)
    first = _upload(client, "key-1", 101, sku="A")
    again = _upload(client, "key-1", 101, sku="A")
    assert first.status_code == again.status_code == 202
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (
        None,
        "true",
    )
    assert _jobs(worker) == before + 1
    _upload(client, None, 101)
    assert _jobs(worker) == before + 2


@pytest.mark.parametrize("changed", [{"width": 103}, {"sku": "B"}])
def test_a_key_is_of_one_request(client: TestClient, no_trace: None, changed: dict[str, object]) -> None:
    """With another file or another field it is refused, in words."""
    key = f"key-2-{sorted(changed)}"
    given = {"width": 102, "sku": "A"}
    assert _upload(client, key, **given).status_code == 202  # type: ignore[arg-type]
    answer = _upload(client, key, **{**given, **changed})  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["name"]) == (422, "key_reused")


def test_refusals_are_not_remembered(client: TestClient, worker: Runtime, no_trace: None) -> None:
    """Nothing was done, so the key is free: the next try is looked at anew."""
    headers = {"Idempotency-Key": "key-3"}
    bad = {"file": ("a.txt", b"hello")}
    assert client.post("/v1/images", files=bad, headers=headers).status_code == 415
    assert _upload(client, "key-3", 104).status_code == 202


def test_many_at_once_are_one(client: TestClient, worker: Runtime, no_trace: None) -> None:
    """One is carried out; the others get its answer, or are told that it is being answered."""
    before, ready = _jobs(worker), threading.Barrier(6)

    def send(_: int) -> int:
        ready.wait()
        return _upload(client, "key-4", 105).status_code

    with ThreadPoolExecutor(6) as threads:
        statuses = set(threads.map(send, range(6)))
    assert 202 in statuses <= {202, 409}
    assert _jobs(worker) == before + 1


def test_what_a_dead_server_began_is_taken_up(client: TestClient, worker: Runtime, no_trace: None) -> None:
    """At first it counts as being answered; after ten minutes it is carried out. A day later it is forgotten."""
    assert _upload(client, "key-5", 106).status_code == 202
    with worker.sessions.begin() as session:
        session.execute(text("UPDATE answered_requests SET status = NULL WHERE key = 'key-5'"))
    assert _upload(client, "key-5", 106).status_code == 409
    with worker.sessions.begin() as session:
        older = "UPDATE answered_requests SET created_at = now() - interval '11 minutes' WHERE key = 'key-5'"
        session.execute(text(older))
    assert _upload(client, "key-5", 106).status_code == 202
    with worker.sessions.begin() as session:
        session.execute(text("UPDATE answered_requests SET created_at = now() - interval '25 hours'"))
    _upload(client, "key-6", 107)
    with worker.sessions() as session:
        assert session.scalars(text("SELECT key FROM answered_requests")).all() == ["key-6"]


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "é"])
def test_keys_have_a_form(client: TestClient, key: str) -> None:
    """Visible characters, 255 at most."""
    answer = client.post(
        "/v1/images/urls",
        json={"items": [{"url": "https://a/1.jpg"}]},
        headers={"Idempotency-Key": key.encode()},  # type: ignore[dict-item]
    )
    assert answer.status_code == 422


def test_parts_cannot_be_shifted() -> None:
    """Where one part ends and the next begins counts, and nothing is not the empty text."""
    assert (
        len(
            {
                fingerprint_of(*parts)
                for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("abc", None))
            }
        )
        == 5
    )
