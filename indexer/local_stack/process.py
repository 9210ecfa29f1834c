"""Background processes that outlive their starter and are shared by everyone who uses the same home.

Who is alive is settled twice over, so that neither a reused pid nor a lost record fools anybody:

- a *record* (`run/<name>.json`) holds pid, the kernel's start time of that pid, the boot it belongs to, and
  an argument (`marker`) that its command line must contain;
- a *life lock* (`run/<name>.alive`), an flock inherited by the process and all its children, is freed by the
  kernel when the last of them is gone. While it is held nothing is started a second time.
"""

import contextlib
import errno
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil

from indexer.errors import ServiceUnavailable
from indexer.local_stack import home as homes

POLL_S = 0.02


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
    for a clean end. `home` must come from `home.prepare`.

    A process without a socket can be kept the same way:

        worker = ManagedProcess("worker", [sys.executable, "-m", ..., str(home)], home, marker=str(home))
        worker.ensure()   # found running or started; returns its pid
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
        if not isinstance(pid, int) or record.get("marker") != self.marker or record.get("boot") != _boot():
            return None
        started = _start_mark(pid)
        if started is None or started != record.get("started") or not self._is_ours(pid):
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
        with homes.start_lock(self.home):
            return self.start()

    def start(self) -> int:
        """Like `ensure`, for a caller who holds `home.start_lock`."""
        running = self.running()
        if running is not None and self._becomes_ready(running.pid, self.start_timeout_s / 2):
            return running.pid
        self._end_remains()
        self.before_start()
        pid = self._spawn()
        if not self._becomes_ready(pid, self.start_timeout_s):
            raise self._did_not_start(pid)
        return pid

    def stop(self) -> bool:
        """End it cleanly, by force only after `stop_timeout_s`; whether anything had to be ended.

        A process lost by its record (its starter was killed in between) is found by its command line.
        """
        pids = self._pids()
        for pid in pids:
            _end(pid, self.stop_signal, self.stop_timeout_s)
        self._record.unlink(missing_ok=True)
        return bool(pids)

    @property
    def _record(self) -> Path:
        return self.home / "run" / f"{self.name}.json"

    def _is_ours(self, pid: int) -> bool:
        try:
            return self.marker in psutil.Process(pid).cmdline()
        except psutil.Error:
            return False

    def _pids(self) -> list[int]:
        running = self.running()
        if running is not None:
            return [running.pid]
        if not self._life_lock_is_held():
            return []
        mine = [p for p in psutil.process_iter() if p.pid != os.getpid() and self._is_ours(p.pid)]
        tops = {p.pid for p in mine}
        return [p.pid for p in mine if _parent(p) not in tops]

    def _life_lock_is_held(self) -> bool:
        try:
            os.close(self._take_life_lock())
        except BlockingIOError:
            return True
        return False

    def _take_life_lock(self) -> int:
        with homes.writing(self.home):
            lock = os.open(
                self.home / "run" / f"{self.name}.alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise BlockingIOError(*error.args) from error
            raise
        return lock

    def _end_remains(self) -> None:
        """End what runs but does not answer, and wait for the children of what was killed."""
        self.stop()
        deadline = time.monotonic() + self.stop_timeout_s
        while self._life_lock_is_held():
            if time.monotonic() > deadline:
                raise ServiceUnavailable(
                    self.name,
                    f"{self.name} of {self.home} is still held by a process that cannot be ended from here "
                    f"(another container or user?). `fuser -v {self.home}/run/{self.name}.alive` names it.",
                )
            time.sleep(POLL_S)

    def _spawn(self) -> int:
        lock = self._take_life_lock()
        log = homes.open_log(self.home, self.name)
        try:
            pid = os.posix_spawn(
                self.argv[0],
                list(self.argv),
                {**os.environ, **self.env},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                    (os.POSIX_SPAWN_DUP2, lock, lock + 1),  # a duplicate stays open across exec
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD),
            )
        finally:
            os.close(log)
            os.close(lock)
        self._write_record(pid)
        return pid

    def _write_record(self, pid: int) -> None:
        with homes.writing(self.home):
            homes.write_json(
                self._record,
                {
                    "pid": pid,
                    "started": _start_mark(pid),
                    "boot": _boot(),
                    "since": time.time(),
                    "marker": self.marker,
                },
            )

    def _becomes_ready(self, pid: int, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while _start_mark(pid) is not None:
            if self.ready():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return False

    def _did_not_start(self, pid: int) -> ServiceUnavailable:
        slow = _start_mark(pid) is not None
        if slow:
            _end(pid, self.stop_signal, self.stop_timeout_s)
        self._record.unlink(missing_ok=True)
        what = f"did not answer within {self.start_timeout_s:.0f} s" if slow else "ended while starting"
        tail = homes.log_tail(self.home, self.name)
        return ServiceUnavailable(
            self.name,
            f"The private {self.name} {what}. Read {homes.log_path(self.home, self.name)}"
            f"{f' (it ends: {tail})' if tail else ''}, mend the cause, run the command again.",
        )


def _end(pid: int, stop_signal: signal.Signals, timeout_s: float) -> None:
    """Ask `pid` to end; insist after `timeout_s`. A zombie its parent does not look at has ended."""
    started = _start_mark(pid)
    for asked, patience_s in ((stop_signal, timeout_s), (signal.SIGKILL, 10.0)):
        deadline = time.monotonic() + patience_s
        if started is None or _start_mark(pid) != started:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, asked)
        while _start_mark(pid) == started and time.monotonic() < deadline:
            time.sleep(POLL_S)


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def _start_mark(pid: int) -> float | None:
    """When the kernel started `pid`, in a unit no change of the clock moves; `None` if it is dead.

    A zombie counts as dead; one of our own children is reaped on the way.
    """
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        if sys.platform == "linux":
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return None if fields[0] in "ZX" else float(fields[19])
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else round(process.create_time(), 1)
    except (OSError, psutil.Error):
        return None


@cache
def _boot() -> str:
    """Names this boot of the machine, so that a record from before a reboot matches nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(round(psutil.boot_time(), -1))
