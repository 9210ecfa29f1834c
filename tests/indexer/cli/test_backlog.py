"""What waits, what was given up, and trying it again, by command line."""

import json
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from indexer import local_stack
from indexer.catalog import images, work
from indexer.settings import Settings
from indexer.tables import Work
from tests.catalogue import add_indexed, new_file
from tests.indexer.cli.conftest import Run


@pytest.fixture
def elsewhere(
    typed: Run,
    stack: local_stack.Endpoints,
    stack_settings: Settings,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs `sightline ...` on servers given by address: no worker is started."""
    monkeypatch.setenv("SIGHTLINE_HOME", str(stack_settings.home))
    monkeypatch.setenv(
        "SIGHTLINE_POSTGRES_URL", postgres_url.replace("postgresql+psycopg://", "postgresql://")
    )
    monkeypatch.setenv("SIGHTLINE_REDIS_URL", stack.redis_url.replace("redis+socket://", "unix://"))
    monkeypatch.setenv("SIGHTLINE_MILVUS_URL", stack.milvus_url)
    return typed


@pytest.fixture
def given_up(sessions: sessionmaker[Session]) -> dict[str, int]:
    """An indexed image, one refused, two given up, one waiting: ids of the unhappy ones by reason."""
    with sessions.begin() as session:
        work.finish(session, [add_indexed(session)], None)
        ids = [row.image_id for row in images.register(session, [new_file() for _ in range(4)])]
        images.fail(session, ids[0], "broken", "no picture in it")
        for image_id, code in ((ids[1], "worker_died"), (ids[2], "out_of_memory")):
            for _ in range(work.ATTEMPTS):
                work.put_off(session, image_id, None, code, "in vain", 0)
    return {"broken": ids[0], "worker_died": ids[1], "out_of_memory": ids[2], "": ids[3]}


def _waiting(sessions: sessionmaker[Session]) -> set[int]:
    with sessions() as session:
        return set(session.scalars(select(Work.image_id)))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), {"worker_died", "out_of_memory"}),
        (("worker_died",), {"worker_died"}),
        (("broken",), {"broken"}),
        (("--all",), {"broken", "worker_died", "out_of_memory"}),
        (("no_such_reason",), set()),
    ],
)
def test_retrying(
    elsewhere: Run,
    sessions: sessionmaker[Session],
    given_up: dict[str, int],
    arguments: tuple[str, ...],
    expected: set[str],
) -> None:
    """Those given up; by reason; refused ones too if asked; twice is no more."""
    status, out, _ = elsewhere("retry", *arguments, "--json")
    assert (status, json.loads(out)) == (0, {"retried": len(expected)})
    assert _waiting(sessions) == {given_up[code] for code in {*expected, ""}}
    assert json.loads(elsewhere("retry", *arguments, "--json")[1]) == {"retried": 0}


def test_status_says_what_waits_and_what_was_given_up(elsewhere: Run, given_up: dict[str, int]) -> None:
    """With the command that tries again."""
    status, out, _ = elsewhere("status")
    assert status == 0
    assert "1 pending" in out
    assert "2 dead" in out
    assert "sightline retry worker_died" in out


def test_status_starts_nothing(typed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a home where nothing runs there is nothing to ask."""
    monkeypatch.setenv("SIGHTLINE_HOME", str(tmp_path))
    for name in ("POSTGRES", "REDIS", "MILVUS"):
        monkeypatch.delenv(f"SIGHTLINE_{name}_URL", raising=False)
    status, out, _ = typed("status")
    assert status == 0
    assert "Images" not in out
    assert {service.pid for service in local_stack.status(tmp_path)} == {None}


def test_a_queue_nobody_knows_is_refused(elsewhere: Run) -> None:
    """Before anything is started; those there are are named."""
    status, _, err = elsewhere("worker", "--queues", "index,nonsense")
    assert status == 1
    assert "nonsense" in err
    assert "backfill" in err
