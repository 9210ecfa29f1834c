"""Background processes: one of each, found again, and never mistaken for a stranger."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from indexer import local_stack
from indexer.errors import ServiceUnavailable
from indexer.local_stack import home as homes
from indexer.local_stack import servers
from tests.conftest import ROOT
from tests.processes import kill, lives, pids, sleeper, starter


def test_racing_starters_start_one_process(small_home: Path) -> None:
    """Three commands at once agree on one Redis."""
    code = (
        "from pathlib import Path; from indexer.local_stack import servers; import os;"
        "print(servers.redis(Path(os.environ['SIGHTLINE_HOME'])).ensure())"
    )
    racing = [starter(small_home, code) for _ in range(3)]
    found = {process.communicate(timeout=60)[0] for process in racing}
    assert found == {f"{pids(small_home)['redis']}\n".encode()}


def test_a_reused_pid_fools_nobody(small_home: Path) -> None:
    """A record whose pid now belongs to a stranger means: not running. The stranger is left alone."""
    process = sleeper(small_home)
    process.ensure()
    record = small_home / "run" / "sleeper.json"
    stale = homes.read_json(record)
    process.stop()
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        homes.write_json(record, stale | {"pid": stranger.pid})
        assert process.running() is None
        assert process.stop() is False
        homes.write_json(record, stale | {"pid": stranger.pid})
        assert process.ensure() != stranger.pid
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")


@pytest.mark.parametrize(
    "change",
    [{"boot": "another boot"}, {"started": 1.0}, {"marker": "another home"}, {"pid": "x"}, {"pid": None}],
)
def test_a_record_must_match_in_everything(small_home: Path, change: dict[str, object]) -> None:
    """After a reboot, in a copied home or half-written, it is not believed, and nothing runs twice."""
    process = sleeper(small_home)
    first = process.ensure()
    record = small_home / "run" / "sleeper.json"
    homes.write_json(record, homes.read_json(record) | change)
    assert process.running() is None
    assert process.ensure() != first
    assert not lives(first)


def test_a_process_whose_starter_died_before_recording_it_is_found(small_home: Path) -> None:
    """The life lock leads to it, so it is ended rather than joined by a second one."""
    process = sleeper(small_home)
    lost = process.ensure()
    (small_home / "run" / "sleeper.json").unlink()
    assert process.running() is None
    assert process.stop() is True
    assert not lives(lost)


def test_children_of_a_killed_process_are_ended_before_the_next_life(small_home: Path) -> None:
    """Kill -9 of a parent leaves its children at work; two generations never run at once."""
    code = """
import subprocess, sys
subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'], close_fds=False)
"""
    marker = str(small_home / "parent")
    process = local_stack.ManagedProcess(
        "parent", [sys.executable, "-c", code, marker], small_home, marker=marker
    )
    parent = psutil.Process(process.ensure())
    while not (children := parent.children()):
        time.sleep(0.02)
    kill(parent.pid)
    process.ensure()
    assert not any(lives(child.pid) for child in children)


def test_a_process_does_not_keep_its_starters_life(small_home: Path) -> None:
    """A server started by a worker must not look like that worker's remains when the worker is gone."""
    inner = f"""
import sys, time; from pathlib import Path; sys.path.insert(0, {str(ROOT)!r})
from indexer.local_stack import ManagedProcess
home = Path({str(small_home)!r})
ManagedProcess('sleeper', {sleeper(small_home).argv!r}, home, marker={sleeper(small_home).marker!r}).ensure()
time.sleep(60)
"""
    marker = str(small_home / "outer")
    outer = local_stack.ManagedProcess(
        "outer", [sys.executable, "-c", inner, marker], small_home, marker=marker
    )
    outer.ensure()
    while sleeper(small_home).running() is None:
        time.sleep(0.02)
    kept = sleeper(small_home).running()
    outer.stop()
    assert outer.ensure()
    assert sleeper(small_home).running() == kept


def test_stop_ends_other_processes_of_the_home_too(small_home: Path) -> None:
    """Workers end before the servers they use."""
    pid = sleeper(small_home).ensure()
    servers.redis(small_home).ensure()
    assert local_stack.stop(small_home) == ["sleeper", "redis"]
    assert not lives(pid)


def test_stop_first_ends_what_keeps_the_others_going(small_home: Path) -> None:
    """A `serve` in some terminal, which would start the worker again as soon as it is gone."""
    code = f"""
import sys, time; from pathlib import Path; sys.path.insert(0, {str(ROOT)!r})
from indexer import local_stack; from tests.processes import sleeper
local_stack.keep(Path({str(small_home)!r}), 8420)
while True:
    sleeper(Path({str(small_home)!r})).ensure(); time.sleep(0.01)
"""
    keeper = subprocess.Popen([sys.executable, "-c", code, "serve"])
    while sleeper(small_home).running() is None:
        time.sleep(0.02)
    assert local_stack.stop(small_home) == ["serve-8420", "sleeper"]
    assert not lives(keeper.pid)
    keeper.wait(5)
    assert sleeper(small_home).running() is None
    assert local_stack.stop(small_home) == []


def test_a_process_that_ignores_the_request_is_ended_by_force(small_home: Path) -> None:
    """SIGTERM first; SIGKILL when patience is at an end."""
    marker = str(small_home / "deaf")
    code = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('deaf', flush=True)
time.sleep(60)
"""
    process = local_stack.ManagedProcess(
        "deaf",
        [sys.executable, "-c", code, marker],
        small_home,
        marker=marker,
        ready=lambda: bool(homes.log_tail(small_home, "deaf")),
        stop_timeout_s=0.2,
    )
    pid = process.ensure()
    assert process.stop() is True
    assert not lives(pid)


def test_a_server_that_cannot_start_says_where_to_read_why(small_home: Path) -> None:
    """A ruined append-only file: the message names Redis, its log, what the log says and what to do."""
    redis = servers.redis(small_home)
    (small_home / "redis").mkdir()
    (small_home / "redis" / "appendonly.aof").write_bytes(b"*1\r\n$garbage\r\n" * 100)
    with pytest.raises(ServiceUnavailable, match=r"logs/redis\.log") as refusal:
        redis.ensure()
    assert refusal.value.service == "redis"
    assert "reading the append only file" in str(refusal.value)
    (small_home / "redis" / "appendonly.aof").unlink()
    assert redis.ensure()


def test_logs_are_bounded(small_home: Path) -> None:
    """A log over its limit is kept once, aside, when the process starts again."""
    log = homes.log_path(small_home, "sleeper")
    log.write_bytes(b"x" * (homes.MAX_LOG_BYTES + 1))
    sleeper(small_home).ensure()
    assert log.stat().st_size == 0
    assert log.with_suffix(".log.1").stat().st_size == homes.MAX_LOG_BYTES + 1
