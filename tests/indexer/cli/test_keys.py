"""Keys from the command line, and where the server may listen without one."""

import json
import socket

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import api_keys
from tests.indexer.cli.conftest import Run


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> None:
    """Keys here shut no other test's doors."""
    monkeypatch.setenv("SIGHTLINE_POSTGRES_URL", postgres_url)


def test_made_listed_revoked(run: Run, sessions: "sessionmaker[Session]") -> None:
    """The key is printed once, alone on standard output; afterwards only how it begins is known."""
    status, key, told = run("keys", "create", "laptop", "--scope", "search", "--scope", "images.read")
    key = key.rstrip("\n")
    assert (status, "From now on" in told, key in told) == (0, True, False)
    with sessions() as session:
        found = api_keys.find(session, key)
    assert found is not None
    assert found.scopes == {"search", "images.read"}
    listed = run("keys", "list")[1] + run("keys", "--json")[1] + run("keys")[1]
    assert key not in listed
    [row] = json.loads(run("keys", "--json")[1])
    assert (row["name"], row["prefix"], row["scopes"], row["revoked_at"]) == (
        "laptop",
        key[:16],
        ["images.read", "search"],
        None,
    )
    assert "It was the last" in run("keys", "revoke", "laptop")[2]
    assert run("keys", "revoke", " laptop ")[0] == 0
    with sessions() as session:
        assert api_keys.find(session, key) is None
    assert json.loads(run("keys", "list", "--json")[1])[0]["revoked_at"] is not None


def test_as_json(run: Run) -> None:
    """For scripts that make keys for others; that the first one shuts the door is said beside it all the same."""
    _, out, told = run("keys", "create", "ci", "--scope", "admin", "--json")
    made = json.loads(out)
    assert "From now on the page and the API need a key" in told
    assert (made["name"], made["scopes"]) == ("ci", ["admin"])
    assert api_keys.SHAPE.fullmatch(made["key"])
    assert run("keys", "create", "second", "--scope", "search", "--json")[2] == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "a", "--scope", "everything"), "There is no scope 'everything'; there are search"),
        (("create", " ", "--scope", "search"), "A key needs a name"),
        (("create", "x" * 300, "--scope", "search"), "300 characters"),
        (("create", "taken", "--scope", "search"), "Choose another name"),
        (("revoke", "nobody"), "No key is called 'nobody'"),
    ],
)
def test_what_is_refused(run: Run, arguments: tuple[str, ...], words: str) -> None:
    """In one line, with what to do; also the name of a revoked key, which logs may still speak of."""
    run("keys", "create", "taken", "--scope", "search")
    run("keys", "revoke", "taken")
    status, out, told = run("keys", *arguments)
    assert (status, out, words in " ".join(told.split())) == (1, "", True)


def test_only_a_hash_is_kept(run: Run, sessions: "sessionmaker[Session]") -> None:
    """Nothing in the catalogue is, or holds, the key."""
    key = run("keys", "create", "secret", "--scope", "search")[1].rstrip("\n")
    with sessions() as session:
        row = str(session.execute(text("SELECT k::text, encode(key_hash, 'escape') FROM api_keys k")).all())
    assert key not in row
    assert key[16:] not in row


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_no_key_no_other_machine(run: Run, host: str) -> None:
    """Without a key the server does not listen where others can reach it, and says how to make one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for revoked in (False, True):
        status, _, told = run("serve", "--host", host, "--port", port)
        assert (status, "sightline keys create" in told) == (1, True), revoked
        run("keys", "create", f"only {host}", "--scope", "search")
        run("keys", "revoke", f"only {host}")
