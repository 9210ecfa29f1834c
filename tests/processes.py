"""Other processes for tests to start, find and kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from indexer import local_stack
from indexer.local_stack.identity import start_mark
from tests.conftest import ROOT

ELSEWHERE = "http://127.0.0.1:9"  # a Milvus of somebody else's, where a test can do without
START = """
from indexer import local_stack
from indexer.settings import Settings
local_stack.endpoints(Settings())
"""


def starter(home: Path, code: str = START, milvus_url: str | None = None) -> "subprocess.Popen[bytes]":
    """Another command using `home`."""
    urls = {f"SIGHTLINE_{name}_URL" for name in ("POSTGRES", "REDIS", "MILVUS")}
    env = {name: value for name, value in os.environ.items() if name not in urls}
    if milvus_url:
        env["SIGHTLINE_MILVUS_URL"] = milvus_url
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=env | {"SIGHTLINE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def pids(home: Path) -> dict[str, int | None]:
    return {service.name: service.pid for service in local_stack.status(home)}


def lives(pid: int | None) -> bool:
    return pid is not None and start_mark(pid) is not None


def kill(pid: int) -> None:
    """Kill -9, and wait until the kernel has done it."""
    os.kill(pid, signal.SIGKILL)
    while lives(pid):
        time.sleep(0.01)


def sleeper(home: Path, seconds: float = 60) -> local_stack.ManagedProcess:
    """A background process that does nothing, well."""
    marker = str(home / "sleeper")
    argv = [sys.executable, "-c", f"import time; time.sleep({seconds})", marker]
    return local_stack.ManagedProcess("sleeper", argv, home, marker=marker)
