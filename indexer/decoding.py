"""Decoding in child processes: one hung, crashed or memory-hungry file is stopped and named, no other harmed.

Each child serves one file at a time over its own socket, so a child killed at any moment, by us or by the
kernel, leaves no lock behind and exactly one file without an answer. The kernel's timers end a child that
takes too long even inside C code, and even while the parent is busy. Children import no torch, start as
fresh interpreters (safe beside threads, gRPC and CUDA) and die with their parent.
"""

import contextlib
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from indexer.decode_child import BEGUN, CLOCK_FACTOR, OUT_OF_MEMORY_STATUS, READY, Source, out_of_memory
from indexer.errors import DecodeCrash, DecodeTimeout, ImageError, ServiceUnavailable
from indexer.images import DecodedImage, InputSpec, Limits

__all__ = ["Answer", "DecodePool", "Source"]

logger = logging.getLogger(__name__)
K = TypeVar("K")

Answer = DecodedImage | ImageError

_START_S = 120.0
# The kernel's timer in the child comes first; this is for a child it cannot wake (a dead network drive).
_GRACE_S = 3.0
_CHILD = (
    "import sys; sys.path.append(sys.argv[1]); from indexer.decode_child import serve; "
    "serve(int(sys.argv[2]), int(sys.argv[3]))"
)
# One thread per child: parallelism is one file per process, and every thread costs address space.
_CHILD_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class DecodePool:
    """`workers` child processes that decode. Thread-safe; several `decode_all` share the children fairly.

    A context manager: leaving it ends the children, also with files in progress.
    """

    def __init__(self, workers: int, limits: Limits) -> None:
        if workers < 1:
            raise ValueError(f"A pool needs at least one worker, not {workers}.")
        self._limits = limits
        self._in_flight = 3 * workers
        self._idle: queue.LifoQueue[_Child] = queue.LifoQueue()
        self._children = [_Child(limits) for _ in range(workers)]
        for child in self._children:
            self._idle.put(child)
        # Children are started and fed by these threads alone: Linux ends a child whose parent *thread* ends.
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def __enter__(self) -> "DecodePool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every child; whoever waits for a file in progress gets ServiceUnavailable."""
        for child in self._children:
            child.close()
        self._threads.shutdown(cancel_futures=True)
        for child in self._children:
            child.end()

    def decode(self, source: Source, specs: Sequence[InputSpec]) -> DecodedImage:
        """One file; waits for a child. Raises ImageError."""
        answer = self._submit(source, tuple(specs)).result()
        if isinstance(answer, ImageError):
            raise answer
        return answer

    def decode_all(
        self, sources: Iterable[tuple[K, Source]], specs: Sequence[InputSpec]
    ) -> Generator[tuple[K, Answer], None, None]:
        """Each key with its decoded image or the error that names why not, as they complete.

        At most three files per worker are in flight or waiting to be fetched, so a slow consumer holds
        little memory; decoding goes on while the consumer works. Raises ServiceUnavailable if children
        cannot be started or the pool is closed meanwhile.
        """
        wanted = tuple(specs)
        pending: dict[Future[Answer], K] = {}
        try:
            for key, source in sources:
                pending[self._submit(source, wanted)] = key
                if len(pending) >= self._in_flight:
                    yield from _completed(pending)
            while pending:
                yield from _completed(pending)
        finally:
            for future in pending:  # the consumer left early
                future.cancel()

    def _submit(self, source: Source, specs: tuple[InputSpec, ...]) -> Future[Answer]:
        try:
            return self._threads.submit(self._answer, source, specs)
        except RuntimeError:
            raise _closed() from None

    def _answer(self, source: Source, specs: tuple[InputSpec, ...]) -> Answer:
        child = self._idle.get()
        try:
            return child.ask(source, specs)
        finally:
            self._idle.put(child)


def _completed(pending: dict[Future[Answer], K]) -> Iterator[tuple[K, Answer]]:
    """Waits for at least one of `pending`, then removes and yields all that are done."""
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        if future.cancelled():
            raise _closed()
        yield pending.pop(future), future.result()


def _closed() -> ServiceUnavailable:
    return ServiceUnavailable("decoder", "The decoding pool is closed.")


class _Child:
    """One decoding process and our end of its socket; started when first asked, and again after it died.

    Asked by one thread at a time; `close` may come from another.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._last_status = 0
        self._closed = False
        self._starting = threading.Lock()

    def ask(self, source: Source, specs: tuple[InputSpec, ...]) -> Answer:
        """Raises ServiceUnavailable if no child can be started or the pool is closing."""
        connection = self._hand_over((source, specs))
        if connection is None:
            return self._obituary()
        try:
            if not connection.poll(self._limits.timeout_s * CLOCK_FACTOR + _GRACE_S):
                self.end()
                return DecodeTimeout(_hung(self._limits))
            answer, leaving = connection.recv()
        except (EOFError, OSError):
            self.end()
            return self._obituary()
        if leaving:
            self.end()
        assert isinstance(answer, DecodedImage | ImageError)
        return answer

    def _hand_over(self, request: tuple[Source, tuple[InputSpec, ...]]) -> Connection | None:
        """The socket of a child that has begun on `request`; None if two in a row died of receiving it.

        One alone may have died while idle, which says nothing about this file.
        """
        for _ in range(2):
            connection = self._running()
            with contextlib.suppress(EOFError, OSError):
                connection.send(request)
                if connection.poll(_START_S) and connection.recv() == BEGUN:
                    return connection
            self.end()
        return None

    def close(self) -> None:
        """Ends the process; whoever is asking gets ServiceUnavailable."""
        with self._starting:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def _running(self) -> Connection:
        """The socket of a child that is ready, starting one where there is none."""
        if self._process is not None and self._process.poll() is not None:
            self.end()
        if self._connection is None:
            self._connection = self._start()
        return self._connection

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs, self._starting:
            if self._closed:
                ours.close()
                raise self._not_starting()
            root = str(Path(__file__).resolve().parent.parent)
            # -P: a folder of photos we happen to be in must not provide modules.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-P", "-c", _CHILD, root, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=os.environ | _CHILD_ENVIRONMENT,
            )
        connection = Connection(ours.detach())
        try:
            connection.send((self._limits, logging.getLogger("indexer").getEffectiveLevel()))
            if connection.poll(_START_S) and connection.recv() == READY:
                return connection
        except (EOFError, OSError) as error:
            logger.debug("decoding process ended while starting: %r", error)
        connection.close()
        self.end()
        raise self._not_starting()

    def _not_starting(self) -> ServiceUnavailable:
        if self._closed:
            return _closed()
        return ServiceUnavailable(
            "decoder", "The decoding processes do not start; what they print to the error stream says why."
        )

    def _obituary(self) -> ImageError:
        """What the way the child died says about its file."""
        if self._closed:
            raise self._not_starting()
        status = self._last_status
        if status == -signal.SIGPROF:
            return DecodeTimeout(_too_slow(self._limits))
        if status == -signal.SIGALRM:
            return DecodeTimeout(_hung(self._limits))
        if status == OUT_OF_MEMORY_STATUS:
            return DecodeCrash(out_of_memory(self._limits))
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        cause = {
            -signal.SIGKILL: "killed from outside, most likely because the machine ran out of memory",
            -signal.SIGABRT: "gave up, most likely because it ran out of memory",
        }.get(status, "crashed")
        return DecodeCrash(
            f"The decoder {cause} ({name}) on this file. Open it in an editor and export it again."
        )

    def end(self) -> None:
        """Kills what may be left of the process, and keeps its exit status."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)  # it may be on its way out with a status worth knowing
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)  # stuck in the kernel on a dead drive: not waited for
        self._last_status = process.returncode or 0


def _too_slow(limits: Limits) -> str:
    return (
        f"Decoding took over {limits.timeout_s:g} s and was stopped. "
        "Shrink or convert the image, or raise SIGHTLINE_IMAGES__TIMEOUT_S."
    )


def _hung(limits: Limits) -> str:
    return (
        f"Reading and decoding made no end within {limits.timeout_s * CLOCK_FACTOR:g} s and was stopped. Check "
        "the drive or store it is on and index it again, or raise SIGHTLINE_IMAGES__TIMEOUT_S."
    )
