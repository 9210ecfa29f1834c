"""The private servers on real ones: shared, private, and back after whatever befalls them."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from pydantic import SecretStr
from pymilvus import MilvusClient
from redis import Redis

from indexer import local_stack
from indexer.errors import ConfigurationError
from indexer.local_stack import home as homes
from indexer.local_stack import servers
from indexer.settings import Settings
from tests.caretaker import caretaker
from tests.processes import ELSEWHERE, START, kill, lives, pids, starter


def private(home: Path, milvus_url: str | None = None) -> Settings:
    """Settings that name a home, and perhaps a Milvus, so that only Postgres and Redis are started."""
    return Settings(home=home, postgres_url=None, redis_url=None, milvus_url=milvus_url)


def connect_postgres(endpoints: local_stack.Endpoints) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(endpoints.postgres_url.replace("+psycopg", ""), autocommit=True)


def connect_redis(endpoints: local_stack.Endpoints) -> Redis:
    return Redis.from_url(endpoints.redis_url.replace("redis+socket", "unix"))


@pytest.fixture(scope="module")
def deep_home() -> Iterator[Path]:
    """A home whose path is too long for a socket and whose first starter was killed while starting."""
    top = Path(tempfile.mkdtemp(prefix="sightline-tests-")).resolve()
    home = top / ("a long folder's name " * 6).strip() / "home"
    warden = caretaker(home)
    first = starter(home, milvus_url=ELSEWHERE)
    deadline = time.monotonic() + 30
    while not list(home.glob("postgres.new-*/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    first.kill()
    first.communicate()
    yield home
    warden.communicate(timeout=90)
    with contextlib.suppress(OSError):
        home.parent.rmdir()
        top.rmdir()


@pytest.fixture(scope="module")
def deep(deep_home: Path) -> local_stack.Endpoints:
    """Postgres and Redis of `deep_home`: that they are up at all shows that a half-done start heals."""
    return local_stack.endpoints(private(deep_home, ELSEWHERE))


def test_the_three_servers_are_real_and_answer(stack: local_stack.Endpoints) -> None:
    """PostgreSQL 18 in UTF-8, Redis, and Milvus Lite, as their own clients see them."""
    with connect_postgres(stack) as postgres:
        found = postgres.execute(
            "SELECT current_database(), lower('ÄÉ'), current_setting('fsync')"
        ).fetchone()
        assert found == ("sightline", "äé", "on")
        assert postgres.info.server_version >= 180000
    with connect_redis(stack) as redis:
        assert redis.config_get("appendonly")["appendonly"] == "yes"
    milvus = MilvusClient(stack.milvus_url, timeout=10, dedicated=True)
    assert "lite" in milvus.get_server_version()
    milvus.close()


def test_nothing_listens_on_a_network(stack: local_stack.Endpoints, stack_home: Path) -> None:
    """No server, nor any child of one, has an internet socket, and strangers cannot reach the files."""
    for service in local_stack.status(stack_home):
        assert service.pid is not None
        server = psutil.Process(service.pid)
        for process in (server, *server.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                assert process.net_connections("inet") == []
    for folder in ("", "run", "logs", "postgres", "redis", "milvus"):
        assert (stack_home / folder).stat().st_mode & 0o077 == 0


def test_finding_running_servers_is_fast(stack: local_stack.Endpoints, stack_settings: Settings) -> None:
    """A command pays milliseconds for servers that are up, and neither client library is imported for it."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert local_stack.endpoints(stack_settings) == stack
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05
    code = f"{START}import sys; assert not {{'pymilvus', 'milvus_lite', 'grpc'}} & set(sys.modules)"
    other = starter(stack_settings.home, code)
    assert other.wait(30) == 0, other.communicate()


def test_servers_outlive_a_killed_starter_and_are_shared(
    deep: local_stack.Endpoints, deep_home: Path
) -> None:
    """Whoever comes next uses the same processes, which are nobody's children any more."""
    before = pids(deep_home)
    other = starter(deep_home, milvus_url=ELSEWHERE)
    assert other.wait(30) == 0, other.communicate()
    assert pids(deep_home) == before
    healthy = {service.name: service.healthy for service in local_stack.status(deep_home)}
    assert healthy == {"postgres": True, "redis": True, "milvus": False}
    assert not list(deep_home.glob("postgres.new-*"))


def test_two_homes_never_meet(
    stack: local_stack.Endpoints, stack_home: Path, deep: local_stack.Endpoints, deep_home: Path
) -> None:
    """Other processes, other sockets, other data."""
    assert set(pids(stack_home).values()).isdisjoint(set(pids(deep_home).values()) - {None})
    with connect_redis(stack) as here, connect_redis(deep) as there:
        here.set("two homes", "here")
        assert there.get("two homes") is None
        here.delete("two homes")


def test_a_long_home_keeps_short_private_sockets(deep: local_stack.Endpoints, deep_home: Path) -> None:
    """Sockets move to a folder of their own, ours alone, always the same one."""
    sockets = homes.socket_directory(deep_home)
    assert len(str(deep_home)) > 107
    assert len(str(sockets)) < 80
    assert sockets.stat().st_mode & 0o077 == 0
    assert homes.socket_directory(deep_home) == sockets


@pytest.mark.parametrize("victim", ["postgres", "redis"])
def test_a_killed_server_comes_back_with_its_data(
    deep: local_stack.Endpoints, deep_home: Path, victim: str
) -> None:
    """After kill -9 the next command finds every acknowledged write at the same address."""
    with connect_postgres(deep) as postgres, connect_redis(deep) as redis:
        postgres.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        postgres.execute("INSERT INTO kept VALUES (%s)", [victim])
        redis.set(victim, "kept")
    before = pids(deep_home)
    kill(before[victim] or 0)

    assert local_stack.endpoints(private(deep_home, ELSEWHERE)) == deep

    after = pids(deep_home)
    assert {name for name in after if after[name] != before[name]} == {victim}
    with connect_postgres(deep) as postgres, connect_redis(deep) as redis:
        assert postgres.execute("SELECT count(*) FROM kept WHERE word = %s", [victim]).fetchone() == (1,)
        assert redis.get(victim) == b"kept"


def test_a_clean_stop_ends_everything_and_keeps_the_data(
    deep: local_stack.Endpoints, deep_home: Path
) -> None:
    """Stop means stopped, cleanly by each server's own account, and a second stop finds nothing to do."""
    with connect_redis(deep) as redis:
        redis.set("clean", "stop")
    before = pids(deep_home)
    assert local_stack.stop(deep_home) == ["postgres", "redis"]
    assert local_stack.stop(deep_home) == []
    assert set(pids(deep_home).values()) == {None}
    assert not any(lives(pid) for pid in before.values())
    assert "database system is shut down" in homes.log_tail(deep_home, "postgres")
    redis_again = servers.redis(deep_home)
    redis_again.ensure()
    with connect_redis(deep) as redis:
        assert redis.get("clean") == b"stop"
    redis_again.stop()


def test_configured_servers_are_used_and_none_is_started(tmp_path: Path) -> None:
    """With URLs there is not even a home; Postgres gets the driver this project uses."""
    settings = Settings(
        home=tmp_path / "unused",
        postgres_url=SecretStr("postgresql://me:secret@db:5432/photos"),
        redis_url=SecretStr("redis://:secret@queue:6379/1"),
        milvus_url="http://vectors:19530",
    )
    found = local_stack.endpoints(settings)
    assert found.postgres_url == "postgresql+psycopg://me:secret@db:5432/photos"
    assert found.redis_url == "redis://:secret@queue:6379/1"
    assert found.milvus_url == "http://vectors:19530"
    assert "secret" not in repr(found)
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("postgres_url", "mysql://me:secret@db/photos"),
        ("postgres_url", "me:secret@db/photos"),
        ("redis_url", "amqp://me:secret@queue"),
        ("milvus_url", "./vectors.db"),
    ],
)
def test_an_unusable_url_is_named_without_its_password(tmp_path: Path, name: str, url: str) -> None:
    """The setting and a good example, never what the bad value holds."""
    with pytest.raises(ConfigurationError, match=f"SIGHTLINE_{name.upper()}") as refusal:
        local_stack.endpoints(Settings.model_validate({"home": tmp_path, name: url}))
    assert "secret" not in str(refusal.value)


def test_status_of_a_home_never_used_creates_nothing(tmp_path: Path) -> None:
    """Asking is free."""
    found = local_stack.status(tmp_path / "none")
    assert [(service.name, service.pid, service.healthy) for service in found] == [
        ("postgres", None, False),
        ("redis", None, False),
        ("milvus", None, False),
    ]
    assert not (tmp_path / "none").exists()
    assert local_stack.stop(tmp_path / "none") == []
