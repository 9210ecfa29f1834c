"""What ends a worker, and what lets go of its models."""

import signal
import subprocess
import sys
import threading
import time

from indexer.batching import ModelsTurn
from tests.conftest import ROOT
from workers.watch import STUCK_STATUS, Watch

STUCK = """
import threading, time
from indexer.batching import ModelsTurn
from workers.watch import Watch
turn = ModelsTurn()
watch = Watch(turn, lambda: True, lambda: None, batch_timeout_s=0.2, max_memory_bytes=0, unload_after_s=0)
watch.start()
with turn.take([41, 42]):
    time.sleep(60)
"""
BLOATED = """
import signal, sys, time
from indexer.batching import ModelsTurn
from workers.watch import Watch
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
watch = Watch(ModelsTurn(), lambda: True, lambda: None, batch_timeout_s=9, max_memory_bytes=10**6, unload_after_s=0)
watch.start()
time.sleep(60)
"""


def _run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_batch_without_end_ends_the_process() -> None:
    """Even though the thread inside cannot be stopped; the images are named."""
    ended = _run(STUCK)
    assert ended.returncode == STUCK_STATUS
    assert "41, 42" in ended.stderr


def test_too_much_memory_asks_for_a_graceful_end() -> None:
    """As an operator would, by SIGTERM."""
    ended = _run(BLOATED)
    assert ended.returncode == 7
    assert "MAX_MEMORY_BYTES" in ended.stderr


def _watch(busy: threading.Event, unloads: list[float], after_s: float) -> Watch:
    return Watch(
        ModelsTurn(),
        busy.is_set,
        lambda: unloads.append(time.monotonic()),
        batch_timeout_s=600,
        max_memory_bytes=0,
        unload_after_s=after_s,
    )


def test_models_nobody_uses_are_let_go() -> None:
    """Not while there is work, and only after a while without."""
    busy, unloads = threading.Event(), []
    busy.set()
    watch = _watch(busy, unloads, after_s=0.1)
    time.sleep(0.15)
    watch.look()
    busy.clear()
    watch.look()
    assert unloads == []
    time.sleep(0.15)
    watch.look()
    assert len(unloads) == 1


def test_models_are_kept_unless_asked_otherwise() -> None:
    """Nothing unloads by itself, and a batch in time harms nobody."""
    unloads: list[float] = []
    watch = _watch(threading.Event(), unloads, after_s=0)
    watch.look()
    assert unloads == []
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
