"""Background processes that outlive their starter and are shared by everyone who uses the same home.

Who is alive is settled twice over, so that neither a reused pid nor a lost record fools anybody:

- a *record* (`run/<name>.json`) holds pid, the kernel's start time of that pid, the boot it belongs to, and
  an argument (`marker`) that its command line must contain;
- a *life lock* (`run/<name>.alive`) is an open file, locked, that the process and its children inherit. The
  kernel frees it when the last of them is gone; while it is held nothing is started a second time, and
  whoever has that file open is one of ours, however its record was lost.
"""

import contextlib
import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from indexer.errors import ServiceUnavailable
from indexer.local_stack import home as homes
from indexer.local_stack.identity import boot, start_mark

POLL_S = 0.02
WEDGED_AFTER_S = 600.0  # a recovering database may be silent for minutes; ending it would only make it longer


@dataclass(frozen=True)
class Running:
    """One live process: its pid and when it was started (seconds since the epoch)."""

    pid: int
    since: float


@dataclass(frozen=True)
class ManagedProcess:
    """A background process of one home.

    `argv[0]` is an absolute path; `marker` is one of the arguments, naming something only this home's process
    would be given (a data folder, a socket). `ready` says whether it answers; `before_start` runs once the
    previous life is certainly over and before the new one begins (repairs, stale files). `stop_signal` asks
    for a clean end. `home` must come from `home.prepare`. It writes to `logs/<name>.log`.

    A process without a socket is kept the same way:

        worker = ManagedProcess("worker", [sys.executable, "-m", ..., str(home)], home, marker=str(home))
        worker.ensure()   # found running, or started; returns its pid
        worker.running()  # Running(pid, since) or None
        worker.stop()     # SIGTERM, waits `stop_timeout_s`, then SIGKILL
    """

    name: str
    argv: Sequence[str]
    home: Path
    marker: str
    ready: Callable[[], bool] = lambda: True
    before_start: Callable[[], None] = lambda: None
    stop_signal: signal.Signals = signal.SIGTERM
    start_timeout_s: float = 60.0
    stop_timeout_s: float = 30.0
    env: Mapping[str, str] = field(default_factory=dict)

    def running(self) -> Running | None:
        """The live process, ready or not; `None` if dead, never started, or the pid is now a stranger's."""
        record = homes.read_json(self._record)
        pid = record.get("pid")
        if not isinstance(pid, int) or record.get("marker") != self.marker or record.get("boot") != boot():
            return None
        started = start_mark(pid)
        if started is None or started != record.get("started") or not self._has_marker(pid):
            return None
        return Running(pid, float(str(record.get("since", 0))))

    def healthy(self) -> bool:
        """Running and ready. Fast, takes no lock."""
        return self.running() is not None and self.ready()

    def ensure(self) -> int:
        """Its pid, after starting it if it was not running and ready.

        Raises `ServiceUnavailable` naming the log when it does not come up within `start_timeout_s`,
        `ConfigurationError` when the home cannot be written.
        """
        running = self.running()
        if running is not None and self.ready():
            return running.pid
        with homes.lock(self.home, self.name):
            return self._start()

    def adopt(self) -> None:
        """Put this very process on record under this name, however it was started: `running` and `stop` know it."""
        self._write_record(os.getpid())

    def stop(self) -> bool:
        """End it and its children, cleanly, by force after `stop_timeout_s`; whether there was any to end."""
        with homes.lock(self.home, self.name):
            return self._end_all()

    @property
    def _record(self) -> Path:
        return self.home / "run" / f"{self.name}.json"

    @property
    def _life(self) -> Path:
        return self.home / "run" / f"{self.name}.alive"

    def _start(self) -> int:
        running = self.running()
        if running is not None:
            if self._becomes_ready(running.pid):
                return running.pid
            if start_mark(running.pid) is not None and time.time() - running.since < WEDGED_AFTER_S:
                raise self._not_ready("does not answer, though it runs")
        self._end_all()
        life = self._begin_life()
        try:
            self.before_start()
            pid = self._spawn(life)
        finally:
            os.close(life)
        if self._becomes_ready(pid):
            return pid
        dead = start_mark(pid) is None
        raise self._not_ready("ended while starting" if dead else "does not answer yet, though it runs")

    def _has_marker(self, pid: int) -> bool:
        try:
            return self.marker in psutil.Process(pid).cmdline()
        except psutil.Error:
            return False

    def _end_all(self) -> bool:
        running = self.running()
        if running is not None:
            _end(running.pid, self.stop_signal, self.stop_timeout_s)
        remains = self._holders()
        for pid in remains:
            _end(pid, self.stop_signal, self.stop_timeout_s)
        self._record.unlink(missing_ok=True)
        return running is not None or bool(remains)

    def _holders(self) -> list[int]:
        """Who keeps the life lock: children of a killed process, or one whose starter died too early."""
        try:
            os.close(self._take_life_lock())
        except BlockingIOError:
            return [process.pid for process in psutil.process_iter() if self._keeps_life(process)]
        return []

    def _keeps_life(self, process: psutil.Process) -> bool:
        try:
            return any(Path(opened.path) == self._life for opened in process.open_files())
        except (psutil.Error, OSError):
            return False

    def _begin_life(self) -> int:
        """Take the life lock. Its last holders may take a moment to go."""
        deadline = time.monotonic() + self.stop_timeout_s
        while True:
            try:
                return self._take_life_lock()
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServiceUnavailable(
                        self.name,
                        f"The {self.name} of {self.home} belongs to a process that cannot be ended from here "
                        f"(another container's or user's?). `fuser -v {self._life}` names it: end it there.",
                    ) from None
            time.sleep(POLL_S)

    def _take_life_lock(self) -> int:
        with homes.writing(self.home):
            life = os.open(self._life, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(life, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(life)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise BlockingIOError(*error.args) from error
            raise
        return life

    def _spawn(self, life: int) -> int:
        log = homes.open_log(self.home, self.name)
        try:
            pid = os.posix_spawn(
                self.argv[0],
                list(self.argv),
                {**os.environ, **self.env},
                file_actions=[
                    # What we inherited (a worker has its own life lock) must not live on in a server.
                    *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable()),
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                    (
                        os.POSIX_SPAWN_DUP2,
                        life,
                        life + 1,
                    ),  # unlike `life`, a duplicate stays open across exec
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD),
            )
        finally:
            os.close(log)
        self._write_record(pid)
        return pid

    def _write_record(self, pid: int) -> None:
        record = {"pid": pid, "started": start_mark(pid), "boot": boot(), "since": time.time()}
        with homes.writing(self.home):
            homes.write_json(self._record, {**record, "marker": self.marker})

    def _becomes_ready(self, pid: int) -> bool:
        deadline = time.monotonic() + self.start_timeout_s
        while start_mark(pid) is not None:
            if self.ready():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return False

    def _not_ready(self, what: str) -> ServiceUnavailable:
        tail = homes.log_tail(self.home, self.name)
        return ServiceUnavailable(
            self.name,
            f"The private {self.name} {what}{homes.full_disk(self.home)}. Read "
            f"{homes.log_path(self.home, self.name)}{f' (it ends: {tail})' if tail else ''}, mend the cause "
            "and run the command again; `sightline stop` ends what hangs.",
        )


def _inheritable() -> list[int]:
    """Open descriptors beyond the standard three that a child would get."""
    found = []
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - a folder that changes while it is read
        with contextlib.suppress(OSError):
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
    return found


def _end(pid: int, stop_signal: signal.Signals, timeout_s: float) -> None:
    """Ask `pid` to end; insist after `timeout_s`. A zombie its parent does not look at has ended."""
    started = start_mark(pid)
    for asked, patience_s in ((stop_signal, timeout_s), (signal.SIGKILL, 10.0)):
        deadline = time.monotonic() + patience_s
        if started is None or start_mark(pid) != started:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, asked)
        while start_mark(pid) == started and time.monotonic() < deadline:
            time.sleep(POLL_S)
