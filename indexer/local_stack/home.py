"""The home directory: private folders, a place for sockets, logs, and the lock of whoever starts something.

```
home/            0700
  run/           records of running processes, life locks, start lock, and sockets where the path is short
  logs/          one per process, rotated at its start
  postgres/ redis/ milvus/   their data
```
"""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from indexer.errors import ConfigurationError

MAX_LOG_BYTES = 5 * 2**20
LOCK_TIMEOUT_S = 180.0
LOW_DISK_BYTES = 64 * 2**20
NEW_HOME_BYTES = 256 * 2**20
_LONGEST_SOCKET_NAME = ".s.PGSQL.5432"
_MAX_SOCKET_PATH_BYTES = 103  # sun_path holds 108 bytes on Linux, 104 on macOS, with a closing zero


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Turn an `OSError` raised inside into a `ConfigurationError` that names `home` and the remedy."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"Sightline cannot keep its data in {home}: {error.strerror or error} "
            f"({error.filename or home}). Free some space "
            "or make the folder writable, or set SIGHTLINE_HOME to a folder on another disk."
        ) from error


def prepare(home: Path) -> Path:
    """Create the private folders; the resolved home. Raises `ConfigurationError` if it cannot be written.

    The permissions of a folder that already holds other things are left alone; those of ours are 0700.
    """
    home = home.expanduser().resolve()
    with writing(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(home.iterdir()):
            home.chmod(0o700)
        for name in ("run", "logs"):
            make_private(home / name)
    return home


def make_private(folder: Path) -> None:
    """Create `folder` for us alone; raises `ConfigurationError` if it is there and somebody else's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"{folder} belongs to user id {found.st_uid}, and this process runs as {os.geteuid()}. Private "
            "servers are not shared between users: run as its owner, or set SIGHTLINE_HOME to another folder."
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


@contextmanager
def lock(home: Path, name: str) -> Iterator[None]:
    """One process at a time starts or stops `name`; the kernel frees the lock of a holder that was killed."""
    with writing(home):
        taken = FileLock(home / "run" / f"{name}.lock", mode=0o600)
        try:
            taken.acquire(timeout=LOCK_TIMEOUT_S)
        except Timeout as error:
            raise ConfigurationError(
                f"Another command has been starting or stopping {name} in {home} for over "
                f"{LOCK_TIMEOUT_S:.0f} s. `fuser -v {taken.lock_file}` names it: end it, then try again."
            ) from error
    try:
        yield
    finally:
        taken.release()


def full_disk(home: Path) -> str:
    """A remark for messages when the disk of `home` is full; empty when it is not."""
    free = shutil.disk_usage(home).free
    return f" (its disk has only {free / 2**20:.0f} MiB left)" if free < LOW_DISK_BYTES else ""


def must_have_room(home: Path) -> None:
    """Raises `ConfigurationError` where a new set of servers would soon fill the disk."""
    free = shutil.disk_usage(home).free
    if free < NEW_HOME_BYTES:
        raise ConfigurationError(
            f"The disk of {home} has {free / 2**20:.0f} MiB left; the private servers begin with "
            f"{NEW_HOME_BYTES / 2**20:.0f} MiB. Free some space, or set SIGHTLINE_HOME to another disk."
        )


def open_log(home: Path, name: str) -> int:
    """A descriptor appending to `logs/<name>.log`; over 5 MiB, the old log is kept once as `.log.1`."""
    path = log_path(home, name)
    with writing(home):
        if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def log_path(home: Path, name: str) -> Path:
    """Where process `name` writes its output."""
    return home / "logs" / f"{name}.log"


def log_tail(home: Path, name: str, lines: int = 4) -> str:
    """The last lines of a log, joined by ` | `; empty if there are none."""
    try:
        with log_path(home, name).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())


def socket_directory(home: Path) -> Path:
    """A private (0700, ours) folder whose path is short enough for a socket, the same one each time.

    That is `home/run`. A socket's path holds about a hundred bytes, so a long home gets a folder of its own,
    with a random name, in the runtime or temporary directory. It is written down together with the home it
    serves: a copied home never leads to the original's servers.
    """
    run = home / "run"
    if _fits(run):
        return run
    record = run / "sockets.json"
    known = _recorded_directory(record, home)
    if known is not None:
        return known
    with lock(home, "sockets"):
        return _recorded_directory(record, home) or _new_directory(record, home)


def remove_sockets(home: Path) -> None:
    """Remove a socket folder outside `home`, if every server that had a socket in it is stopped."""
    folder = _recorded_directory(home / "run" / "sockets.json", home)
    if folder is not None:
        with suppress(OSError):
            folder.rmdir()


def _new_directory(record: Path, home: Path) -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    with writing(home):
        made = _private_directory(Path(base))
        if not _fits(made):
            made.rmdir()
            made = _private_directory(Path("/tmp"))  # noqa: S108 - TMPDIR itself is too long; mkdtemp is safe
        write_json(record, {"home": str(home), "sockets": str(made)})
    return made


def _private_directory(base: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="sightline-", dir=base)).resolve()


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / _LONGEST_SOCKET_NAME)) <= _MAX_SOCKET_PATH_BYTES


def _recorded_directory(record: Path, home: Path) -> Path | None:
    known = read_json(record)
    if known.get("home") != str(home):
        return None
    folder = Path(str(known.get("sockets")))
    try:
        folder.mkdir(mode=0o700, exist_ok=True)  # a reboot empties the temporary directory
        found = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    return folder if private and found.st_uid == os.geteuid() else None


def read_json(path: Path) -> dict[str, object]:
    """The object in a small JSON file; empty if it is missing, half-written or something else."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write atomically: a reader sees the old file or the new one."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(content))
    partial.replace(path)
