"""The embedded Postgres, Redis and Milvus, started privately when no URL is configured.

`endpoints(settings)` is all that other modules need. `ManagedProcess` keeps any other background process
(a worker) under the same home with the same certainty about who is alive.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from indexer.errors import ConfigurationError
from indexer.local_stack import home as homes
from indexer.local_stack import servers
from indexer.local_stack.process import ManagedProcess, Running

__all__ = [
    "Endpoints",
    "ManagedProcess",
    "Running",
    "ServiceStatus",
    "endpoints",
    "keep",
    "prepare_home",
    "status",
    "stop",
]

prepare_home = homes.prepare
KEEPER = "serve-"


class StackSettings(Protocol):
    """What of the settings decides where the servers are."""

    @property
    def home(self) -> Path: ...
    @property
    def postgres_url(self) -> SecretStr | None: ...
    @property
    def redis_url(self) -> SecretStr | None: ...
    @property
    def milvus_url(self) -> str | None: ...


@dataclass(frozen=True)
class Endpoints:
    """Where the three servers answer. URLs may carry passwords: do not print them.

    `postgres_url` is SQLAlchemy's (`postgresql+psycopg://`), `redis_url` is Celery's (`redis://`, or
    `redis+socket://` for the private one), `milvus_url` is pymilvus's (`http://`, or `unix:` a path).
    """

    postgres_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    milvus_url: str


@dataclass(frozen=True)
class ServiceStatus:
    """One private server: `pid` and `since` (seconds since the epoch) are `None` when it is not running."""

    name: str
    address: str
    pid: int | None
    since: float | None
    healthy: bool


_Service = tuple[Callable[[Path], ManagedProcess], Callable[[Path], str]]
_SERVICES: dict[str, _Service] = {
    "postgres": (servers.postgres, servers.postgres_url),
    "redis": (servers.redis, servers.redis_url),
    "milvus": (servers.milvus, servers.milvus_url),
}


def endpoints(settings: StackSettings) -> Endpoints:
    """Where to reach Postgres, Redis and Milvus; those without a configured URL are found running or started.

    Raises `ConfigurationError` (unusable URL or home) or `ServiceUnavailable` (a server does not come up; the
    message names its log).
    """
    given = {
        "postgres": _sqlalchemy_url(settings.postgres_url) if settings.postgres_url else None,
        "redis": _celery_url(settings.redis_url) if settings.redis_url else None,
        "milvus": _pymilvus_url(settings.milvus_url) if settings.milvus_url else None,
    }
    private = [name for name, url in given.items() if not url]
    if private:
        home = homes.prepare(settings.home)
        _ensure([_SERVICES[name][0](home) for name in private])
        given |= {name: _SERVICES[name][1](home) for name in private}
    return Endpoints(str(given["postgres"]), str(given["redis"]), str(given["milvus"]))


def _ensure(processes: list[ManagedProcess]) -> None:
    if all(process.healthy() for process in processes):
        return
    with ThreadPoolExecutor(len(processes)) as pool:
        starts = [pool.submit(process.ensure) for process in processes]
    for started in starts:
        started.result()


def _sqlalchemy_url(secret: SecretStr) -> str:
    scheme, rest = _split(secret.get_secret_value())
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise _unusable("POSTGRES", "postgresql://user:password@host:5432/database", scheme)
    return f"postgresql+psycopg://{rest}"


def _celery_url(secret: SecretStr) -> str:
    scheme, rest = _split(secret.get_secret_value())
    if scheme not in ("redis", "rediss", "redis+socket", "unix"):
        raise _unusable("REDIS", "redis://:password@host:6379/0", scheme)
    return f"{'redis+socket' if scheme == 'unix' else scheme}://{rest}"


def _pymilvus_url(url: str) -> str:
    scheme, _ = _split(url)
    if scheme not in ("http", "https", "tcp") and not url.startswith("unix:"):
        raise _unusable("MILVUS", "http://host:19530 (a Milvus Lite file cannot be shared)", scheme)
    return url


def _split(url: str) -> tuple[str, str]:
    scheme, separator, rest = url.strip().partition("://")
    return (scheme.lower(), rest) if separator else ("", url)


def _unusable(setting: str, example: str, scheme: str) -> ConfigurationError:
    """Names the scheme alone: the rest may hold a password."""
    what = f"begins with {scheme[:20]}://" if scheme else "is not a URL"
    return ConfigurationError(
        f"SIGHTLINE_{setting}_URL {what}; write {example}, or unset it for a private server."
    )


def keep(home: Path, port: int) -> None:
    """Put this process, a `serve` on `port`, on record: it starts again what ends, so `stop` must end it first."""
    ManagedProcess(f"{KEEPER}{port}", (), homes.prepare(home), marker=KEEPER.rstrip("-")).adopt()


def stop(home: Path) -> list[str]:
    """End what runs for `home`, cleanly: what keeps the others going, these, then the servers they use.

    Returns the names of those that were running.
    """
    home = home.expanduser().resolve()
    if not (home / "run").is_dir():
        return []
    servers_of_home = [process(home) for process, _ in _SERVICES.values()]
    others = _others(home)
    keepers = [process for process in others if process.name.startswith(KEEPER)]
    stopped = _stop_all(keepers) + _stop_all([process for process in others if process not in keepers])
    stopped += _stop_all(servers_of_home)
    homes.remove_sockets(home)
    return stopped


def _others(home: Path) -> list[ManagedProcess]:
    records = {path.stem: homes.read_json(path) for path in (home / "run").glob("*.json")}
    return [
        ManagedProcess(name, (), home, marker=str(record["marker"]))
        for name, record in records.items()
        if name not in _SERVICES and "marker" in record
    ]


def _stop_all(processes: list[ManagedProcess]) -> list[str]:
    with ThreadPoolExecutor() as pool:
        ended = pool.map(ManagedProcess.stop, processes)
    return [process.name for process, was_running in zip(processes, ended, strict=True) if was_running]


def status(home: Path) -> list[ServiceStatus]:
    """Each private server of `home`; starts nothing and creates nothing."""
    home = home.expanduser().resolve()
    if not (home / "run").is_dir():
        return [ServiceStatus(name, "", None, None, healthy=False) for name in _SERVICES]
    return [_status(name, home) for name in _SERVICES]


def running_postgres(settings: StackSettings) -> str | None:
    """Where the configured Postgres is, or the private one if it answers; starts nothing."""
    if settings.postgres_url:
        return _sqlalchemy_url(settings.postgres_url)
    [private] = [service for service in status(settings.home) if service.name == "postgres"]
    return private.address if private.healthy else None


def _status(name: str, home: Path) -> ServiceStatus:
    make, address = _SERVICES[name]
    process = make(home)
    running = process.running()
    if running is None:
        return ServiceStatus(name, address(home), None, None, healthy=False)
    return ServiceStatus(name, address(home), running.pid, running.since, healthy=process.ready())
