"""One embedded Sightline as an operator sees it: processes to kill and to pause, an API that is started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from indexer import local_stack
from indexer.cli.workspace import worker_process
from indexer.settings import Settings
from tests.caretaker import caretaker

SIGHTLINE = [sys.executable, "-c", "from indexer.cli import main; main()"]
SERVICES = ("api", "worker", "postgres", "redis", "milvus")
RESTART_S = 0.3  # what systemd or a container engine would do about an API that died


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Deployment:
    """`sightline serve` over a home of its own, started again whenever it ends, as a supervisor would.

    Should whoever started it be killed, everything is ended all the same; the home stays.
    """

    def __init__(self, home: Path, **settings: str) -> None:
        self.home, self._settings = home, settings
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        home.parent.mkdir(parents=True, exist_ok=True)
        self._log = (home.parent / "api.log").open("ab")
        self._closing = threading.Event()
        self._api: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Bring everything up; returns when `/readyz` says that all of it works."""
        self._warden = caretaker(self.home, remove=False)
        self._keeper.start()
        self.wait_ready(180)

    def wait_ready(self, timeout_s: float) -> None:
        """Until every part works. Raises TimeoutError with what does not."""
        deadline = time.monotonic() + timeout_s
        while not ((parts := self.parts()) and all(parts.values())):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {timeout_s:.0f} s: {parts or 'the API does not answer'}")
            time.sleep(0.2)

    def parts(self) -> dict[str, bool] | None:
        """Which parts `/readyz` says work, by name; None if it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as error:
            told = json.load(error)
        except (OSError, ValueError):
            return None
        return {name: part["ok"] for name, part in told["parts"].items()}

    def pid(self, service: str) -> int | None:
        """The process of a service now, None while there is none."""
        if service == "api":
            return self._api.pid if self._api and self._api.poll() is None else None
        if service == "worker":
            running = worker_process(Settings(home=self.home)).running()
            return running.pid if running else None
        return next(s.pid for s in local_stack.status(self.home) if s.name == service)

    def kill(self, service: str) -> bool:
        """Kill -9; whether there was anything to kill."""
        return self._signal(service, signal.SIGKILL)

    def pause(self, service: str, seconds: float) -> bool:
        """Stop it in its tracks, and let it go on after a while."""
        pid = self.pid(service)
        if pid is None or not self._signal(service, signal.SIGSTOP):
            return False
        time.sleep(seconds)
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:  # whoever found it wedged has ended it
            return True
        return True

    def run(self, *arguments: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        """One command on this library, to its end."""
        return subprocess.run(
            [*SIGHTLINE, *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def stop(self) -> None:
        """End the API and everything it started."""
        self._closing.set()
        if self._api:
            self._api.terminate()
            self._api.wait(timeout=60)
        self._keeper.join(timeout=60)
        self.run("stop", timeout_s=120)
        self._warden.communicate(timeout=90)
        self._log.close()

    def environment(self) -> dict[str, str]:
        """Of its commands: nothing of whoever runs the drill, its own home and settings."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("SIGHTLINE_")}
        return {**own, "SIGHTLINE_HOME": str(self.home), "OMP_WAIT_POLICY": "PASSIVE", **self._settings}

    def _keep(self) -> None:
        command = [*SIGHTLINE, "serve", "--port", str(self.port)]
        while not self._closing.is_set():
            # A session of its own: a signal meant for the API ends nothing else.
            self._api = subprocess.Popen(
                command, env=self.environment(), stdout=self._log, stderr=self._log, start_new_session=True
            )
            self._api.wait()
            self._closing.wait(RESTART_S)

    def _signal(self, service: str, number: signal.Signals) -> bool:
        pid = self.pid(service)
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[bool]:
    """`folder` as a disk of its own, in memory; yields whether that could be had (it takes root)."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size_bytes},mode=0755"
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False
        ).returncode
        == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def fill(folder: Path, seconds: float) -> None:
    """Leave no room on the disk of `folder` for a while."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        free: Any = os.statvfs(folder)
        size = free.f_bavail * free.f_frsize
        while size > 4096:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
                file.seek(0, os.SEEK_END)
            except OSError:
                size //= 2
    time.sleep(seconds)
    ballast.unlink()
