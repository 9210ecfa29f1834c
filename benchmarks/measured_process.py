"""A process of its own for everything measured: questions go in as JSON lines, answers come out as JSON lines.

So one side's memory, threads and libraries do not touch the other's, and both can be asked in turn. The official
code's Python imports this too: nothing but the standard library at the top, nothing newer than Python 3.8.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Answer = dict[str, Any]


class ProcessEnded(Exception):
    """The process is gone; the machine most likely ran out of memory."""


class MeasuredProcess:
    """The asking end. `name` is what a report calls it."""

    def __init__(self, name: str, command: Sequence[str], threads: int | None) -> None:
        self.name = name
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        self._process: Any = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, what: str, **details: object) -> Answer:
        """One answer.

        Raises:
            ProcessEnded: with its exit status.
            RuntimeError: what went wrong inside.
        """
        try:
            self._process.stdin.write(json.dumps({"what": what, **details}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ProcessEnded(f"{self.name} ended") from error
        line = self._process.stdout.readline()
        if not line:
            raise ProcessEnded(f"{self.name} ended with status {self._process.wait()}")
        answer: Answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}")
        return answer

    def __enter__(self) -> MeasuredProcess:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # what it was asked last, it never read
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def serve(answers: dict[str, Callable[..., Answer]]) -> None:
    """The answering end: until standard input closes. Whatever the models print goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        details = json.loads(line)
        try:
            answer = answers[details.pop("what")](**details)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(answer) + "\n")
        replies.flush()


def measured(work: Callable[[], Answer], device: str) -> Answer:
    """What `work` says, with its `seconds` and the `peak_bytes` of this process (or of the accelerator) meanwhile."""
    import torch

    on_cuda = device.startswith("cuda")
    if on_cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    else:
        _forget_peak()
    started = time.perf_counter()
    answer = work()
    if on_cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() if on_cuda else _peak_resident()
    return {**answer, "seconds": seconds, "peak_bytes": peak}


def _forget_peak() -> None:
    """Linux restarts its count of the largest resident size when told so; elsewhere it covers the whole life."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_resident() -> int:
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
