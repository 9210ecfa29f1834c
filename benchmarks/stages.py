"""Index a folder with the real command and worker; print rate, share of time per stage, peak memory."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from indexer.cli.demo import bundled_photographs

TEST_DATA = Path(os.environ.get("SIGHTLINE_TEST_DATA", Path(__file__).parents[2] / "shared"))
VAL = TEST_DATA / "photos" / "flickr8k" / "val"


class PeakMemory:
    """Largest sum of the resident memory of every process of one home, sampled, in bytes."""

    def __init__(self, home: Path) -> None:
        self.home, self.worker, self.all = str(home), 0, 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.5):
            workers = [p for p in psutil.process_iter(["cmdline"]) if self._is_worker(p)]
            tree = [q for p in workers for q in (p, *_children(p))]
            self.worker = max(self.worker, sum(_rss(p) for p in tree))

    def _is_worker(self, process: psutil.Process) -> bool:
        return f"worker@{self.home}" in (process.info["cmdline"] or [])


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _rss(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def run(home: Path, photos: Path | None) -> None:
    """Print one index run's figures."""
    folder = photos or VAL
    paths = [str(folder)] if folder.is_dir() else [str(path) for path in bundled_photographs()]
    if not folder.is_dir():
        print(f"No {folder}: indexing the {len(paths)} photographs inside installed libraries instead.")
    with PeakMemory(home.resolve()) as memory:
        report = index(home, paths)
        again = index(home, paths)
    rate = report["indexed"] / report["seconds"]
    print(f"\nIndexing {report['indexed']} images: {report['seconds']:.1f} s, {rate:.1f} images/s")
    total = sum(report["stage_seconds"].values())
    for stage, seconds in report["stage_seconds"].items():
        print(f"  {stage:8} {seconds / total:6.1%}")
    print(f"  worker's peak memory, decoding processes included: {memory.worker / 2**20:.0f} MiB")
    print(f"  again, nothing new: {again['seconds']:.1f} s, {again['total']} images queued")
    subprocess.run([*_sightline(), "stop"], env=_environment(home), check=True, capture_output=True)


def index(home: Path, paths: list[str]) -> dict:
    """Run `sightline index --json` in `home`."""
    command = [*_sightline(), "index", "--json", *paths]
    done = subprocess.run(command, env=_environment(home), capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def _sightline() -> list[str]:
    return [sys.executable, "-c", "from indexer.cli import main; main()"]


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "SIGHTLINE_HOME": str(home)}
