"""Which process a pid means, told apart from whoever had that number before or will have it next."""

import contextlib
import os
import sys
from functools import cache
from pathlib import Path

import psutil


def start_mark(pid: int) -> float | None:
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
def boot() -> str:
    """Names this boot of the machine, so that a record from before a reboot matches nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(round(psutil.boot_time(), -1))
