"""What runs inside one decoding process: receive a source, read it, decode it, answer."""

import contextlib
import ctypes
import logging
import os
import resource
import signal
import stat
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from indexer.errors import DecodeCrash, ImageError, ImageTooLarge, ImageUnreadable, SightlineError
from indexer.images import DecodedImage, InputSpec, Limits, decode, too_many_bytes

# Bytes; a file's path; or anything picklable that returns the bytes when called here, in the child,
# such as `storage.StoredOriginal`.
Source = bytes | str | os.PathLike[str] | Callable[[], bytes]

READY, BEGUN = "ready", "begun"
OUT_OF_MEMORY_STATUS = 77
# How much longer than its processor time a file may take by the clock, waiting for its turn or its bytes.
CLOCK_FACTOR = 3
_PR_SET_PDEATHSIG = 1
# A child that has kept this share of its allowance after a file makes room by leaving.
_KEEPS_AT_MOST = 0.25

logger = logging.getLogger(__name__)


def out_of_memory(limits: Limits) -> str:
    """The reason given when a file needs more memory than it may have."""
    return (
        f"Decoding ran out of memory (limit {limits.max_memory_bytes / 2**20:,.0f} MiB). "
        "Shrink the image, or raise SIGHTLINE_IMAGES__MAX_MEMORY_BYTES."
    )


def serve(descriptor: int, parent: int) -> None:
    """Answers requests on the socket `descriptor` until it closes or the process `parent` is gone."""
    _live_with_parent(parent)
    connection = Connection(descriptor)
    limits, level = connection.recv()
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    warnings.simplefilter("ignore")  # Pillow's remarks on strangers' files; what matters is an ImageError
    allowance = _bound_memory(limits.max_memory_bytes)
    connection.send(READY)
    with contextlib.suppress(EOFError, OSError):
        while True:
            try:
                source, specs = connection.recv()
            except MemoryError:
                os._exit(OUT_OF_MEMORY_STATUS)
            connection.send(BEGUN)
            _set_timers(limits.timeout_s)
            answer = _answer(source, specs, limits)
            _set_timers(0)
            leaving = _grown(allowance)
            connection.send((answer, leaving))
            if leaving:
                return


def _set_timers(seconds: float) -> None:
    """Processor time first, so that a busy machine fails no good file; the clock for what hangs idle.

    No handlers: the kernel ends the process, whatever code it is in.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds * CLOCK_FACTOR)


def _answer(source: Source, specs: tuple[InputSpec, ...], limits: Limits) -> DecodedImage | ImageError:
    started = time.perf_counter()
    try:
        data = _read(source, limits)
        read_s = time.perf_counter() - started
        return replace(decode(data, specs, limits), read_s=read_s)
    except ImageError as error:
        return error.with_traceback(None)
    except MemoryError:
        return DecodeCrash(out_of_memory(limits))
    except Exception as error:  # no file may take its neighbours along
        logger.debug("decoder failed", exc_info=True)
        return DecodeCrash(f"The decoder failed on this file ({error!r}). Export it again.")


def _read(source: Source, limits: Limits) -> bytes:
    """The bytes of any source. Raises ImageUnreadable or ImageTooLarge."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, str | os.PathLike):
        return _read_file(Path(source), limits)
    try:
        return source()
    except (SightlineError, OSError) as error:
        raise ImageUnreadable(str(error)) from error


def _read_file(path: Path, limits: Limits) -> bytes:
    """A regular file's bytes. O_NONBLOCK: opening a named pipe must not wait for a writer."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ImageUnreadable(
                    f"{path} is not a regular file. Give an image file or a folder of them."
                )
            if status.st_size > limits.max_bytes:
                raise ImageTooLarge(too_many_bytes(status.st_size, limits))
            return file.read(limits.max_bytes + 1)  # it may grow meanwhile
    except IsADirectoryError:
        raise ImageUnreadable(f"{path} is a folder, not a file. Index the folder itself.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageUnreadable(
            f"{path} cannot be read: {reason}. Check that it exists and may be read."
        ) from error


def _live_with_parent(parent: int) -> None:
    """Linux ends this process when its parent ends, kill -9 included; elsewhere the closed socket does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the group; the parent decides
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):  # if the machine runs out of memory, take this one
            Path("/proc/self/oom_score_adj").write_text("1000")
    if os.getppid() != parent:
        os._exit(0)


def _bound_memory(growth: int) -> int | None:
    """Lets this process's address space grow by `growth` bytes; returns the resulting bound.

    Address space rather than resident memory because the kernel enforces it without a watcher. Systems
    without /proc have no enforceable bound: None.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    now = _address_space()
    if now is None:
        return None
    resource.setrlimit(resource.RLIMIT_AS, (now + growth, now + growth))
    return now + round(growth * _KEEPS_AT_MOST)


def _address_space() -> int | None:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return None


def _grown(allowance: int | None) -> bool:
    """Whether leaks or fragments have eaten into the next file's allowance."""
    now = _address_space()
    return allowance is not None and now is not None and now > allowance
