"""Kill -9 of `sightline index` and its worker: run again, the command completes; nothing missing or twice.

What becomes of everything else that is killed meanwhile, `tests/drills` tries.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer import local_stack
from indexer.catalog import connection, images
from indexer.cli.workspace import worker_process
from indexer.settings import Settings
from tests.caretaker import caretaker

COUNT = 160
SIGHTLINE = [sys.executable, "-c", "from indexer.cli import main; main()"]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home of its own, since its servers will be killed."""
    home = Path(tempfile.mkdtemp(prefix="sightline-faults-")).resolve()
    warden = caretaker(home)
    yield home
    worker_process(Settings(home=home)).stop()
    warden.communicate(timeout=90)


def _run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SIGHTLINE_HOME": str(home)}
    return subprocess.run(
        [*SIGHTLINE, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=110
    )


def _start(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "SIGHTLINE_HOME": str(home)}
    return subprocess.Popen([*SIGHTLINE, *arguments], env=environment, stderr=subprocess.DEVNULL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, all different."""
    rng = np.random.default_rng(abs(hash(str(tmp_path))) % 2**32)
    for number in range(COUNT):
        noise = rng.integers(0, 255, size=(24, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((320, 240)).save(tmp_path / f"{number}.png")
    return tmp_path


def _indexed(home: Path) -> int:
    engine = connection.connect(local_stack.endpoints(Settings(home=home)).postgres_url)
    try:
        with connection.sessions(engine)() as session:
            return images.count_by_state(session)["indexed"]
    finally:
        engine.dispose()


def _worker(home: Path) -> int:
    running = worker_process(Settings(home=home)).running()
    assert running is not None
    return running.pid


@pytest.mark.timeout(300)
def test_the_same_command_again_completes(home: Path, folder: Path) -> None:
    """Every image indexed once, Postgres and Milvus agree, and a third run has nothing to do."""
    _run(home, "index", str(folder), "--dry-run")
    before = _indexed(home)
    run = _start(home, "index", str(folder))
    deadline = time.monotonic() + 90
    while not before < _indexed(home) < before + COUNT:
        assert time.monotonic() < deadline, "the run never got half way"
        assert run.poll() is None, "the run ended before anything could be killed"
        time.sleep(0.05)
    run.kill()
    run.wait()
    os.kill(_worker(home), signal.SIGKILL)
    again = _run(home, "index", "--json", str(folder))
    assert again.returncode == 0, again.stderr
    assert _indexed(home) == before + COUNT
    check = _run(home, "check", "--json")
    assert check.returncode == 0, check.stdout + check.stderr
    report = json.loads(check.stdout)
    assert report["images_in_milvus"] == report["images_by_state"]["indexed"] == before + COUNT
    third = json.loads(_run(home, "index", "--json", str(folder)).stdout)
    assert (third["total"], third["unchanged"]) == (0, COUNT)
