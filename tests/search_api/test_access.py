"""Who may do what, with keys, without any, and from where."""

import logging

import pytest
from fastapi.testclient import TestClient

from indexer.catalog import api_keys
from indexer.catalog.api_keys import SCOPES
from indexer.errors import ServiceUnavailable
from indexer.settings import Settings
from search_api.access import WRONG_KEYS_A_MINUTE
from search_api.app import create_app
from tests.search_api.locked import Locked

DESCRIBED = create_app(Settings()).openapi()["paths"]
OPERATIONS = [(method.upper(), path) for path, methods in DESCRIBED.items() for method in methods]
OPEN = {"/healthz", "/readyz", "/v1/session"}


def _scope(method: str, path: str) -> str:
    [scope] = DESCRIBED[path][method.lower()]["security"][0]["bearer"]
    return scope


GUARDED = [(method, path, _scope(method, path)) for method, path in OPERATIONS if path not in OPEN]


def test_everything_is_guarded_and_says_so() -> None:
    """Each operation but health and signing in needs one scope, by any of three ways in, or no key at all."""
    for method, path, scope in GUARDED:
        ways = DESCRIBED[path][method.lower()]["security"]
        assert scope in SCOPES, (method, path)
        assert ways == [{"bearer": [scope]}, {"header": [scope]}, {"session": [scope]}, {}]
        assert {"401", "403", "429"} <= set(DESCRIBED[path][method.lower()]["responses"])
    assert {scope for _, _, scope in GUARDED} == set(SCOPES) - {"admin"}


@pytest.fixture(scope="module")
def clients(doors: Locked) -> dict[str, dict[str, TestClient]]:
    """Programs whose key opens one scope only, and those whose key opens every other."""
    others = {scope: [o for o in SCOPES if o not in (scope, "admin")] for scope in SCOPES}
    return {
        "only": {scope: doors.caller(doors.key(scope)) for scope in SCOPES},
        "others": {scope: doors.caller(doors.key(*others[scope])) for scope in SCOPES},
    }


@pytest.mark.parametrize(("method", "path", "scope"), GUARDED)
def test_each_scope_opens_its_own(
    doors: Locked, clients: dict[str, dict[str, TestClient]], method: str, path: str, scope: str
) -> None:
    """Without a key 401, with every other scope 403; with its own, and with `admin`, the endpoint answers."""
    for name in ("image_id", "search_id", "collection_id", "edit_id", "job_id", "name"):
        path = path.replace(f"{{{name}}}", "1")
    nobody = doors.caller().request(method, path)
    assert (nobody.status_code, nobody.json()["name"]) == (401, "not_signed_in")
    assert nobody.headers["www-authenticate"] == 'Bearer realm="sightline"'
    stranger = clients["others"][scope].request(method, path)
    assert (stranger.status_code, stranger.json()["name"]) == (403, "not_allowed")
    assert scope in stranger.json()["detail"]
    for key in (clients["only"][scope], clients["only"]["admin"]):
        assert key.request(method, path).status_code not in (401, 403, 500)


def test_both_headers(doors: Locked) -> None:
    """`Authorization: Bearer` in any case, and `X-API-Key`."""
    nobody = doors.caller()
    for headers in (
        {"Authorization": f"Bearer {doors.admin}"},
        {"authorization": f"bearer  {doors.admin}"},
        {"x-api-key": doors.admin},
    ):
        assert nobody.get("/v1/tags", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        "sightline_",
        "sightline_" + "a" * 43,
        "sightline_" + "a" * 43 + "' OR '1'='1",
        "é" * 53,
        "a" * 20_000,
        "sightline_" + "%00" * 14 + "a",
    ],
)
def test_wrong_keys(doors: Locked, key: str) -> None:
    """Whatever is sent as a key is a refusal in words, by either header and at the door."""
    caller = doors.caller(address="198.51.100.7")
    for headers in ({"Authorization": b"Bearer " + key.encode()}, {"X-API-Key": key.encode()}):
        answer = caller.get("/v1/tags", headers=headers)
        assert (answer.status_code, answer.json()["name"]) == (401, "not_signed_in")
    assert caller.post("/v1/session", json={"key": key}).status_code in (401, 422)


def test_a_revoked_key(doors: Locked) -> None:
    """It opens nothing two seconds later, nor do the browsers that signed in with it."""
    with doors.app.state.services.sessions.begin() as session:
        _, key = api_keys.create(session, "lent", ["search"])
    program, browser = doors.caller(key), doors.caller()
    browser.post("/v1/session", json={"key": key})
    assert program.get("/v1/tags").status_code == browser.get("/v1/tags").status_code == 200
    with doors.app.state.services.sessions.begin() as session:
        api_keys.revoke(session, "lent")
    doors.forget()
    assert program.get("/v1/tags").status_code == browser.get("/v1/tags").status_code == 401


def test_many_wrong_keys(doors: Locked) -> None:
    """From one address they are soon not even looked at; another address, and the right key there, go on."""
    guessing = doors.caller("sightline_" + "b" * 43, address="203.0.113.66")
    statuses = [guessing.get("/v1/tags").status_code for _ in range(WRONG_KEYS_A_MINUTE + 1)]
    assert statuses == [401] * WRONG_KEYS_A_MINUTE + [429]
    answer = doors.caller(doors.admin, address="203.0.113.66").get("/v1/tags")
    assert (answer.status_code, answer.json()["name"]) == (429, "too_many_requests")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert doors.caller(doors.admin, address="203.0.113.67").get("/v1/tags").status_code == 200


def test_requests_of_one_key_are_counted(doors: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over its number a minute a key waits; others do not."""
    monkeypatch.setattr(doors.doors, "_per_minute", 3)
    busy, other = doors.caller(doors.key("search")), doors.caller(doors.key("search"))
    assert [busy.get("/v1/tags").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert other.get("/v1/tags").status_code == 200


def test_last_use_is_noted(doors: Locked) -> None:
    """When it was used last is told in the list, and not written again within a minute."""
    doors.forget()
    doors.caller(doors.admin).get("/v1/tags")
    with doors.app.state.services.sessions() as session:
        first = {key.name: key.last_used_at for key in api_keys.all_of_them(session)}["admin"]
    doors.forget()
    doors.caller(doors.admin).get("/v1/tags")
    with doors.app.state.services.sessions() as session:
        again = {key.name: key.last_used_at for key in api_keys.all_of_them(session)}["admin"]
    assert first is not None
    assert again == first


def test_no_key_and_another_machine(client: TestClient) -> None:
    """As long as there is no key this machine may do everything, others nothing, whatever they send."""
    for address in ("192.0.2.1", "10.0.0.8", "2001:db8::1", "::ffff:192.0.2.1"):
        stranger = TestClient(client.app, "http://localhost", client=(address, 1))
        assert stranger.get("/v1/tags").status_code == 401
        assert stranger.get("/v1/tags", headers={"x-api-key": "x"}).status_code == 401
        assert stranger.get("/healthz").status_code == 200
    for address in ("127.0.0.1", "::1", "127.8.8.8"):
        assert TestClient(client.app, "http://localhost", client=(address, 1)).get("/v1/tags").is_success
    assert client.get("/v1/session").json() == {
        "signed_in_by": "open",
        "name": None,
        "scopes": sorted(SCOPES),
    }


def test_log_lines_name_the_key(doors: Locked, caplog: pytest.LogCaptureFixture) -> None:
    """By what it is called: who did what can be found out afterwards."""
    with caplog.at_level(logging.INFO, "search_api.request_log"):
        doors.caller(doors.admin).get("/v1/tags")
        doors.caller().get("/v1/tags")
    named = [
        getattr(record, "caller", None) for record in caplog.records if "/v1/tags" in record.getMessage()
    ]
    assert named == ["admin", None]


def test_postgres_away(doors: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key known a moment ago goes on opening; an unknown one is told that Postgres is away, and is not let in."""
    known = doors.caller(doors.admin)
    assert known.get("/v1/query/keys").status_code == 200
    monkeypatch.setattr("search_api.key_ring.REMEMBERED_S", 0.0)
    doors.doors.keys._known = {asked: (0.0, found) for asked, (_, found) in doors.doors.keys._known.items()}
    monkeypatch.setattr(doors.doors.keys, "_sessions", _away)
    assert known.get("/v1/query/keys").status_code == 200
    answer = doors.caller("sightline_" + "c" * 43).get("/v1/query/keys")
    assert (answer.status_code, answer.json()["service"]) == (503, "postgres")


def _away() -> None:
    raise ServiceUnavailable("postgres", "Postgres does not answer.")


def test_logs_hold_no_keys(doors: Locked, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a right nor a wrong key, nor a cookie, is in any line, however the request ends."""
    wrong = "sightline_" + "d" * 43
    with caplog.at_level(logging.DEBUG):
        doors.caller(doors.admin).get("/v1/tags")
        doors.caller(wrong).post("/v1/search", json={"q": "("})
        browser = doors.browser("search")
        browser.get("/v1/images/1")
    assert caplog.records
    told = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    for secret in (doors.admin, wrong, browser.cookies["sightline_session"]):
        assert secret not in told
