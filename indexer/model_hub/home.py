"""The folder installed models lie in: one folder a model, written beside its place and moved there in one step.

- `ram/`: a model, complete
- `.partial-ram/`: one being written, or what a killed run left of it
- `.replaced-ram/`: the one before, for the instant in which it is replaced
- `.locks/ram.lock`: held by whoever writes or removes it
- `.downloads/`: checkpoints on their way here, and the lists that came with them
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from indexer.errors import ConfigurationError, NoRoom

_PARTIAL, _REPLACED = ".partial-", ".replaced-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_WORDS = ("No space left", "quota exceeded", "File too large")
_SPARE_BYTES = 16 * 2**20  # lists, metadata and the file system's own needs
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def shown_bytes(count: float) -> str:
    """A size as people read it: 5.6 GB, 42 MB, 900 bytes."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count < 10 * size else f"{count / size:.0f} {unit}"
    return f"{count:.0f} bytes"


@dataclass(frozen=True)
class Home:
    """`folder` need not exist yet. `say` is told what a person would wonder about, such as waiting."""

    folder: Path
    say: Callable[[str], object] = print

    @property
    def downloads(self) -> Path:
        """Where files lie that were fetched for an import."""
        return self.folder / ".downloads"

    def of(self, name: str) -> Path:
        """Where the model of this name lies, or would.

        Raises:
            ConfigurationError: a name that would be no good folder name.
        """
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} cannot be a model's name: use lower-case letters, digits, dots, - and _."
            )
        return self.folder / name

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Be the only one who writes under this name; the system lets go of it for a process that dies."""
        locks = self._made(self.folder / ".locks")
        lock = FileLock(locks / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.say(f"Another command is at work on {name}; waiting for it to end.")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def writing(self, name: str, needed_bytes: int) -> Iterator[Path]:
        """An empty folder that becomes the model `name` in one move when the block ends well, and vanishes when not.

        The caller holds the lock of that name.

        Raises:
            NoRoom: less than `needed_bytes` is free, or the disk ran full meanwhile.
            ConfigurationError: the home cannot be written to.
        """
        target = self.of(name)
        self._mend(name)
        self.check_room(needed_bytes)
        partial = self._made(self.folder / f"{_PARTIAL}{name}")
        try:
            yield partial
            _make_durable(partial)
            self._move_in(partial, target)
        except Exception as error:
            if is_full(error):
                raise self.no_room(needed_bytes) from error
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what killed runs have left, but for what somebody is writing right now."""
        for leftover in [*self.folder.glob(f"{_PARTIAL}*"), *self.folder.glob(f"{_REPLACED}*")]:
            name = leftover.name.removeprefix(_PARTIAL).removeprefix(_REPLACED)
            with suppress(Timeout), FileLock(self._made(self.folder / ".locks") / f"{name}.lock", timeout=0):
                self._mend(name)

    def remove(self, name: str) -> None:
        """Delete a model; the caller holds its lock. First out of sight, so that none is seen half deleted."""
        gone = self.folder / f"{_PARTIAL}{name}"
        shutil.rmtree(gone, ignore_errors=True)
        self.of(name).rename(gone)
        shutil.rmtree(gone)

    def check_room(self, needed_bytes: int) -> None:
        """Raise NoRoom unless so many bytes, and some to spare, are free."""
        self._made(self.folder)
        if shutil.disk_usage(self.folder).free < needed_bytes + _SPARE_BYTES:
            raise self.no_room(needed_bytes)

    def no_room(self, needed_bytes: int) -> NoRoom:
        """The error that says how much is needed, how much there is, and where else it could go."""
        free = shutil.disk_usage(self.folder).free
        return NoRoom(
            f"{self.folder} has no room: {shown_bytes(needed_bytes)} are needed, {shown_bytes(free)} are free. Nothing"
            " was left behind. Free some, or set SIGHTLINE_MODELS to a folder on a larger disk and try again."
        )

    def _mend(self, name: str) -> None:
        """Undo what a killed run left under this name; a model it had just moved aside is put back."""
        target, replaced = self.folder / name, self.folder / f"{_REPLACED}{name}"
        if replaced.exists() and not target.exists():
            replaced.rename(target)
        for leftover in (replaced, self.folder / f"{_PARTIAL}{name}"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _move_in(self, partial: Path, target: Path) -> None:
        replaced = self.folder / f"{_REPLACED}{target.name}"
        if target.exists():
            target.rename(replaced)
        partial.rename(target)
        shutil.rmtree(replaced, ignore_errors=True)

    def _made(self, folder: Path) -> Path:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"Models cannot be kept in {self.folder} ({error.strerror}): set SIGHTLINE_MODELS to a folder you may"
                " write to."
            ) from error
        return folder


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk, the quota or the largest file allowed is full.

    safetensors is written in Rust and hands the system's error on in words.
    """
    number = error.errno if isinstance(error, OSError) else None
    return number in _FULL or any(words in str(error) for words in _FULL_WORDS)


def _make_durable(folder: Path) -> None:
    """Have the disk hold the files before they get their name, so that no power cut leaves an empty model."""
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
